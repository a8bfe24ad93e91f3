//! Container images without a container tool: an image is a static program, and an archive of it is a tar file.
//!
//! The layout is the one that the Open Container Initiative specifies: blobs named by their SHA-256 (the layer, itself
//! a tar file; the configuration; the manifest that names both) and an index. Nothing in an archive depends on when
//! or where it was written: the same program gives the same bytes.

use std::io::{self, Write};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Tar files are made of these.
const BLOCK: usize = 512;

/// A user that no machine knows: pods that forbid root run without a word about it in their manifest.
const USER: &str = "65532:65532";

/// An image of programs.
pub(super) struct Image<'a> {
    /// What manifests call it: `penstock.local/broker:dev`.
    pub(super) reference: &'a str,
    /// Absolute paths in the image, with their content. The first one is what the image runs.
    pub(super) programs: &'a [(String, Vec<u8>)],
}

impl Image<'_> {
    /// Writes the archive.
    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let mut layer = Vec::new();
        for (path, program) in self.programs {
            file(&mut layer, path.trim_start_matches('/'), 0o755, program)?;
        }
        end(&mut layer)?;
        let entrypoint: Vec<&String> = self.programs.iter().map(|(path, _)| path).take(1).collect();
        let layer = Blob::new("application/vnd.oci.image.layer.v1.tar", layer);
        let config = Blob::json(
            "application/vnd.oci.image.config.v1+json",
            &json!({
                "architecture": "amd64",
                "os": "linux",
                "config": {"Entrypoint": entrypoint, "User": USER, "WorkingDir": "/"},
                // Not compressed, so the digest of the layer is also the digest of its content.
                "rootfs": {"type": "layers", "diff_ids": [layer.digest()]},
            }),
        );
        let kind = "application/vnd.oci.image.manifest.v1+json";
        let content = json!({
            "schemaVersion": 2,
            "mediaType": kind,
            "config": config.descriptor(),
            "layers": [layer.descriptor()],
        });
        let manifest = Blob::json(kind, &content);
        let mut named = manifest.descriptor();
        // Where containerd looks for the name to import it under.
        named["annotations"] = json!({"io.containerd.image.name": self.reference});
        let index = json!({"schemaVersion": 2, "manifests": [named]});

        file(out, "oci-layout", 0o644, json!({"imageLayoutVersion": "1.0.0"}).to_string().as_bytes())?;
        for blob in [&layer, &config, &manifest] {
            file(out, &format!("blobs/sha256/{}", blob.sha256), 0o644, &blob.content)?;
        }
        file(out, "index.json", 0o644, index.to_string().as_bytes())?;
        end(out)
    }
}

struct Blob {
    media_type: &'static str,
    sha256: String,
    content: Vec<u8>,
}

impl Blob {
    fn new(media_type: &'static str, content: Vec<u8>) -> Blob {
        let sha256 = Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect();
        Blob { media_type, sha256, content }
    }

    fn json(media_type: &'static str, content: &Value) -> Blob {
        Blob::new(media_type, content.to_string().into_bytes())
    }

    fn digest(&self) -> String {
        format!("sha256:{}", self.sha256)
    }

    fn descriptor(&self) -> Value {
        json!({"mediaType": self.media_type, "digest": self.digest(), "size": self.content.len()})
    }
}

/// Writes one file of a tar file (ustar).
fn file(out: &mut impl Write, name: &str, mode: u32, content: &[u8]) -> io::Result<()> {
    let header = header(name, mode, content.len()).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, format!("{name} is too long for a tar file"))
    })?;
    out.write_all(&header)?;
    out.write_all(content)?;
    out.write_all(&[0; BLOCK][..content.len().next_multiple_of(BLOCK) - content.len()])
}

/// Writes the end of a tar file.
fn end(out: &mut impl Write) -> io::Result<()> {
    out.write_all(&[0; 2 * BLOCK])
}

/// The block before a file's content; none if a field has no room for its value.
fn header(name: &str, mode: u32, size: usize) -> Option<[u8; BLOCK]> {
    let mut block = [0; BLOCK];
    let mut put = |at: usize, width: usize, text: &str| {
        block.get_mut(at..at + width)?.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(())
    };
    put(0, 100, name)?;
    put(100, 8, &format!("{mode:07o}"))?;
    // Owner and group are root, and the time is the beginning of time.
    put(108, 8, "0000000")?;
    put(116, 8, "0000000")?;
    put(124, 12, &format!("{size:011o}"))?;
    put(136, 12, "00000000000")?;
    // The sum is taken with its own field blank.
    put(148, 8, "        ")?;
    put(156, 1, "0")?;
    put(257, 8, "ustar\x0000")?;
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Some(block)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::process::Command;

    /// Unpacks with another program, which checks sums and sizes.
    fn unpack(archive: &[u8], into: &Path) {
        let tar = into.join("unpacked.tar");
        std::fs::create_dir_all(into).expect("a directory");
        std::fs::write(&tar, archive).expect("write");
        let status =
            Command::new("tar").arg("-xf").arg(&tar).arg("-C").arg(into).status().expect("tar starts");
        assert!(status.success());
    }

    fn json_at(path: &Path) -> Value {
        serde_json::from_slice(&std::fs::read(path).expect("a file")).expect("JSON")
    }

    #[test]
    fn an_archive_leads_from_its_index_to_the_programs() {
        let dir = tempfile::tempdir().expect("a directory");
        let program = [b"#!".as_slice(), &[7; 5000]].concat();
        let programs = [("/bin/x".to_owned(), program.clone()), ("/y".to_owned(), vec![8])];
        let image = Image { reference: "penstock.local/x:dev", programs: &programs };
        let mut archive = Vec::new();
        image.write(&mut archive).expect("write");
        unpack(&archive, dir.path());

        let blob = |descriptor: &Value| {
            let digest = descriptor["digest"].as_str().expect("a digest").replace("sha256:", "blobs/sha256/");
            let path = dir.path().join(digest);
            let size = std::fs::metadata(&path).expect("the blob is there").len();
            assert_eq!(descriptor["size"], size);
            path
        };
        let named = &json_at(&dir.path().join("index.json"))["manifests"][0];
        assert_eq!(named["annotations"]["io.containerd.image.name"], "penstock.local/x:dev");
        let manifest = json_at(&blob(named));
        let config = json_at(&blob(&manifest["config"]));
        assert_eq!(config["config"]["Entrypoint"], json!(["/bin/x"]));
        let layer = &manifest["layers"][0];
        assert_eq!(config["rootfs"]["diff_ids"], json!([layer["digest"]]));

        let root = dir.path().join("root");
        unpack(&std::fs::read(blob(layer)).expect("the layer"), &root);
        assert_eq!(std::fs::read(root.join("bin/x")).expect("the program"), program);
        assert_eq!(std::fs::read(root.join("y")).expect("the other one"), [8]);
    }

    #[test]
    fn a_name_that_tar_has_no_room_for_is_an_error() {
        let image = Image { reference: "x", programs: &[("x".repeat(101), Vec::new())] };
        assert!(image.write(&mut Vec::new()).is_err());
    }
}
