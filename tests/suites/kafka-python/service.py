"""What the tests import from a module that the source archive lacks: brokers that somebody else started."""


class ExternalService:
    def __init__(self, host, port):
        self.host = host
        self.port = port

    def is_alive(self):
        return True

    def open(self):
        pass

    def close(self):
        pass

    def stop(self):
        pass

    def dump_logs(self):
        pass


class SpawnedService:
    def __init__(self, *args, **kwargs):
        raise RuntimeError("these tests run against a broker that is there already")
