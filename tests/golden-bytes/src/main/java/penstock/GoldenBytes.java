package penstock;

import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;

import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.message.FetchResponseData;
import org.apache.kafka.common.message.JoinGroupRequestData;
import org.apache.kafka.common.message.MetadataResponseData;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.Field;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.Struct;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.protocol.types.Type;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.CompressionType;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.SimpleRecord;

/**
 * Writes what Apache Kafka's own client library makes of messages and records, as hexadecimal lines that the tests
 * of the `protocol` crate compare with.
 *
 * Lines are
 *   request KEY VERSION HEADER_VERSION BYTES, and response likewise: a random body, read and written by the library's
 *     message class, so that what stands here is what a Java client or broker would send;
 *   named NAME VERSION BYTES: a message filled through setters, whose values the Rust test repeats by name;
 *   records MAGIC CODEC BYTES: the same few records in each format and codec.
 * The same seeds are used every time: a new file differs only where the library does.
 */
public final class GoldenBytes {
    private static final HexFormat HEX = HexFormat.of();

    /** Of each message and version; with two, nearly every nullable field is both null and not. */
    private static final int SAMPLES = 2;

    private final Random random;

    private GoldenBytes(long seed) {
        random = new Random(seed);
    }

    public static void main(String[] args) throws Exception {
        try (PrintStream out = new PrintStream(Files.newOutputStream(Path.of(args[0])), false, StandardCharsets.UTF_8)) {
            out.println("# Made by GoldenBytes.java with Apache Kafka's kafka-clients 4.3.1; do not edit.");
            for (ApiMessageType api : ApiMessageType.values()) {
                for (short v = api.lowestSupportedVersion(); v <= api.highestSupportedVersion(true); v++) {
                    GoldenBytes values = new GoldenBytes(api.apiKey() * 1000L + v);
                    for (int sample = 0; sample < SAMPLES; sample++) {
                        String request = values.body(api.requestSchemas()[v], api.newRequest(), v);
                        out.printf("request %d %d %d %s%n", api.apiKey(), v, api.requestHeaderVersion(v), request);
                        String response = values.body(api.responseSchemas()[v], api.newResponse(), v);
                        out.printf("response %d %d %d %s%n", api.apiKey(), v, api.responseHeaderVersion(v), response);
                    }
                }
            }
            named(out);
            records(out);
        }
    }

    /** A random body of this schema, as the message class writes it after reading it. */
    private String body(Schema schema, Message message, short version) {
        Struct struct = struct(schema, 0);
        ByteBuffer bytes = ByteBuffer.allocate(struct.sizeOf());
        struct.writeTo(bytes);
        bytes.flip();
        message.read(new ByteBufferAccessor(bytes.duplicate()), version);
        return hex(write(message, version));
    }

    private static ByteBuffer write(Message message, short version) {
        ObjectSerializationCache cache = new ObjectSerializationCache();
        ByteBuffer bytes = ByteBuffer.allocate(message.size(cache, version));
        message.write(new ByteBufferAccessor(bytes), cache, version);
        bytes.flip();
        return bytes;
    }

    private static String hex(ByteBuffer bytes) {
        byte[] array = new byte[bytes.remaining()];
        bytes.duplicate().get(array);
        return array.length == 0 ? "-" : HEX.formatHex(array);
    }

    private Struct struct(Schema schema, int depth) {
        Struct struct = new Struct(schema);
        for (BoundField field : schema.fields()) {
            struct.set(field, value(field.def.type, depth));
        }
        return struct;
    }

    private Object value(Type type, int depth) {
        if (type.isNullable() && random.nextInt(4) == 0) {
            return null;
        }
        if (type.isArray()) {
            int length = depth == 0 || depth > 2 ? 1 : random.nextInt(3);
            Object[] elements = new Object[length];
            for (int i = 0; i < length; i++) {
                elements[i] = value(type.arrayElementType().orElseThrow(), depth + 1);
            }
            return elements;
        }
        if (type instanceof Schema schema) {
            return struct(schema, depth + 1);
        }
        if (type instanceof TaggedFields tagged) {
            Map<Integer, Object> values = new TreeMap<>();
            for (Map.Entry<Integer, Field> field : tagged.fields().entrySet()) {
                if (random.nextBoolean()) {
                    values.put(field.getKey(), value(field.getValue().type, depth + 1));
                }
            }
            return values;
        }
        return scalar(type);
    }

    private Object scalar(Type type) {
        String name = type.toString();
        if (name.endsWith("STRING")) {
            return List.of("", "a", "orders", "größe", "水").get(random.nextInt(5));
        }
        if (name.endsWith("BYTES")) {
            byte[] bytes = new byte[random.nextInt(6)];
            random.nextBytes(bytes);
            return ByteBuffer.wrap(bytes);
        }
        if (name.endsWith("RECORDS")) {
            return MemoryRecords.withRecords(Compression.NONE, new SimpleRecord(1_000L, "k".getBytes(), "v".getBytes()));
        }
        return switch (name) {
            case "BOOLEAN" -> random.nextBoolean();
            case "INT8" -> (byte) random.nextInt();
            case "INT16" -> (short) random.nextInt();
            case "UINT16" -> random.nextInt(0x10000);
            case "INT32" -> random.nextInt();
            case "INT64" -> random.nextLong();
            case "UUID" -> new Uuid(random.nextLong(), random.nextLong());
            case "FLOAT64" -> random.nextDouble();
            default -> throw new IllegalStateException("no value of type " + name);
        };
    }

    private static void named(PrintStream out) {
        JoinGroupRequestData.JoinGroupRequestProtocolCollection protocols =
            new JoinGroupRequestData.JoinGroupRequestProtocolCollection();
        protocols.add(new JoinGroupRequestData.JoinGroupRequestProtocol().setName("range").setMetadata(new byte[] {1, 2}));
        JoinGroupRequestData join = new JoinGroupRequestData()
            .setGroupId("group")
            .setSessionTimeoutMs(45_000)
            .setRebalanceTimeoutMs(300_000)
            .setMemberId("member")
            .setGroupInstanceId("instance")
            .setProtocolType("consumer")
            .setProtocols(protocols)
            .setReason("because");
        for (short version : new short[] {5, 9}) {
            JoinGroupRequestData fitting = join.duplicate();
            if (version < 8) {
                fitting.setReason(null);
            }
            out.printf("named JoinGroupRequest %d %s%n", version, hex(write(fitting, version)));
        }

        FetchResponseData fetch = new FetchResponseData()
            .setThrottleTimeMs(7)
            .setSessionId(99)
            .setResponses(List.of(new FetchResponseData.FetchableTopicResponse()
                .setTopic("orders")
                .setPartitions(List.of(new FetchResponseData.PartitionData()
                    .setPartitionIndex(3)
                    .setHighWatermark(1_000)
                    .setLastStableOffset(900)
                    .setLogStartOffset(10)
                    .setCurrentLeader(new FetchResponseData.LeaderIdAndEpoch().setLeaderId(2).setLeaderEpoch(5))
                    .setAbortedTransactions(List.of(
                        new FetchResponseData.AbortedTransaction().setProducerId(77).setFirstOffset(800)))
                    .setPreferredReadReplica(4)
                    .setRecords(MemoryRecords.EMPTY)))));
        out.printf("named FetchResponse 12 %s%n", hex(write(fetch, (short) 12)));

        MetadataResponseData.MetadataResponseBrokerCollection brokers =
            new MetadataResponseData.MetadataResponseBrokerCollection();
        brokers.add(new MetadataResponseData.MetadataResponseBroker()
            .setNodeId(1).setHost("localhost").setPort(9092).setRack("rack"));
        MetadataResponseData.MetadataResponseTopicCollection topics =
            new MetadataResponseData.MetadataResponseTopicCollection();
        topics.add(new MetadataResponseData.MetadataResponseTopic()
            .setName("orders")
            .setTopicId(new Uuid(0x0102030405060708L, 0x090a0b0c0d0e0f10L))
            .setIsInternal(true)
            .setPartitions(List.of(new MetadataResponseData.MetadataResponsePartition()
                .setPartitionIndex(3)
                .setLeaderId(1)
                .setLeaderEpoch(5)
                .setReplicaNodes(List.of(1, 2))
                .setIsrNodes(List.of(1))
                .setOfflineReplicas(List.of(2)))));
        MetadataResponseData metadata = new MetadataResponseData()
            .setBrokers(brokers).setClusterId("cluster").setControllerId(1).setTopics(topics);
        out.printf("named MetadataResponse 12 %s%n", hex(write(metadata, (short) 12)));
    }

    private static void records(PrintStream out) {
        Header[] headers = {new RecordHeader("trace", new byte[] {1, 2, 3}), new RecordHeader("empty", null)};
        for (byte magic = 0; magic <= 2; magic++) {
            SimpleRecord[] records = {
                new SimpleRecord(1_700_000_000_000L, bytes("first"), bytes("one"), magic == 2 ? headers : new Header[0]),
                new SimpleRecord(1_700_000_000_500L, null, bytes("two")),
                new SimpleRecord(1_699_999_999_999L, bytes("third"), null),
                new SimpleRecord(1_700_000_000_001L, bytes(""), bytes("x".repeat(1_000))),
            };
            for (CompressionType codec : CompressionType.values()) {
                if (codec == CompressionType.ZSTD && magic < 2) {
                    continue;
                }
                Compression compression = Compression.of(codec).build();
                MemoryRecords made =
                    MemoryRecords.withRecords(magic, 0L, compression, TimestampType.CREATE_TIME, records);
                out.printf("records %d %s %s%n", magic, codec.name, hex(made.buffer()));
            }
        }
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
