"""Every kind of connection to a real server: what arrives, what is refused, what is not shown."""

import asyncio
import itertools
import logging
import ssl
import threading
from contextlib import suppress

import pytest
import redis
import trustme

from nautilus_enhanced.infrastructure.messagebus import BufferedMessageBusClient
from nautilus_enhanced.infrastructure.messagebus import ConfigurationError
from nautilus_enhanced.infrastructure.messagebus import ConnectionSettings
from nautilus_enhanced.infrastructure.messagebus import LoginRefusedError
from nautilus_enhanced.infrastructure.messagebus import StreamNaming


NAMING = StreamNaming(trader_id="T-1")
FAST = {
    "connect_timeout_ms": 1_000,
    "response_timeout_ms": 1_000,
    "reconnect_min_ms": 1,
    "reconnect_max_ms": 20,
}
ORDERS = "events.order.S-1"
SECRET = "Zq7Xw-word"


def payloads(store, topic=ORDERS):
    return [fields[b"payload"] for _, fields in store.xrange(NAMING.key(topic))]


def numbered(count):
    return [b"%d" % number for number in range(count)]


@pytest.fixture
def make_client():
    made = []

    def make(url, start=True, credential_provider=None, **connection):
        client = BufferedMessageBusClient(
            url,
            naming=NAMING,
            connection=ConnectionSettings(**(FAST | connection)),
            credential_provider=credential_provider,
        )
        made.append(client)
        if start:
            client.start(5.0)
        return client

    yield make
    for client in made:
        client.stop(0.0)


def delivers(client, count=50):
    for number in numbered(count):
        client.offer(ORDERS, number)
    return client.flush_blocking(10.0)


def publish_under_kills(client, store, rounds=40):
    """Publish while the server drops its clients again and again; everything arrives once."""
    assert client.flush_blocking(10.0)
    for number in range(rounds):
        for part in range(20):
            assert client.offer(ORDERS, b"%d" % (number * 20 + part))
        store.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    assert client.flush_blocking(20.0)
    assert payloads(store) == numbered(rounds * 20)
    assert client.statistics().connects > 1
    assert client.statistics().second_writer == 0


# -- TLS -----------------------------------------------------------------------------------------


class TlsFront:
    """Speak TLS on a port of its own and pass on what it gets to a server in plain text."""

    def __init__(self, context, target_port):
        self._context = context
        self._target_port = target_port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        listening = asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)
        self._server = asyncio.run_coroutine_threadsafe(listening, self._loop).result(5.0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_):
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(5.0)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5.0)
        self._loop.close()

    async def _end(self):
        # Also those of asyncio itself, such as a handshake under way. And before the server is
        # closed: Python 3.13.0 does not expect to lose a connection after that.
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for _ in range(3):
            await asyncio.sleep(0)
        self._server.close()

    async def _serve(self, reader, writer):
        try:
            with suppress(OSError):
                to_server = await asyncio.open_connection("127.0.0.1", self._target_port)
                ways = [
                    asyncio.create_task(self._pass(reader, to_server[1])),
                    asyncio.create_task(self._pass(to_server[0], writer)),
                ]
                try:
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for way in ways:
                        way.cancel()
                    to_server[1].transport.abort()
        finally:
            writer.transport.abort()

    async def _pass(self, reader, writer):
        with suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority, tmp_path_factory):
    path = tmp_path_factory.mktemp("tls") / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


@pytest.fixture
def front(authority, server, store):
    """Return a function that puts TLS before the session's server."""
    opened = []

    def make(name="localhost", client_certificate=False):
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert(name).configure_cert(context)
        if client_certificate:
            authority.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        opened.append(TlsFront(context, server.port))
        return opened[-1].__enter__()

    yield make
    for one in opened:
        one.__exit__()


def test_tls_with_our_authority(make_client, front, ca_file, store, caplog):
    client = make_client(f"rediss://localhost:{front().port}", tls_ca_file=ca_file)
    assert delivers(client)
    assert payloads(store) == numbered(50)
    assert "not verified" not in caplog.text


def test_everything_arrives_once_over_tls_however_often_it_breaks(
    make_client, front, ca_file, store
):
    client = make_client(f"rediss://localhost:{front().port}", tls_ca_file=ca_file)
    publish_under_kills(client, store)


@pytest.mark.parametrize("case", ["authority", "name"])
def test_a_certificate_that_does_not_verify_gets_no_message(
    make_client, front, ca_file, store, case
):
    if case == "authority":
        client = make_client(f"rediss://localhost:{front().port}")
    else:
        client = make_client(f"rediss://localhost:{front('other.example').port}",
                             tls_ca_file=ca_file)  # fmt: skip
    client.offer(ORDERS, b"x")
    assert not client.statistics().connected
    assert "certificate verify failed" in client.statistics().last_error.lower()
    assert client.statistics().bytes_sent == 0
    assert payloads(store) == []


@pytest.mark.parametrize("how", ["setting", "URL"])
def test_without_verification_only_on_request_and_with_a_warning(
    make_client, front, store, caplog, how
):
    url = f"rediss://:{SECRET}@localhost:{front('other.example').port}"
    with redis.Redis(port=store.connection_pool.connection_kwargs["port"]) as admin:
        admin.config_set("requirepass", SECRET)
        try:
            with caplog.at_level(logging.WARNING):
                client = (
                    make_client(url, tls_verify=False)
                    if how == "setting"
                    else make_client(f"{url}?ssl_cert_reqs=none")
                )
            assert delivers(client)
        finally:
            admin.execute_command("CONFIG", "SET", "requirepass", "")
    assert "not verified" in caplog.text
    assert SECRET not in caplog.text


@pytest.fixture
def client_files(authority, tmp_path):
    """Return the settings that name a certificate of ours: its key apart, and in one file."""
    certificate = authority.issue_cert("a-node")
    key, cert, both = (tmp_path / name for name in ("key.pem", "cert.pem", "both.pem"))
    certificate.private_key_pem.write_to_path(key)
    certificate.cert_chain_pems[0].write_to_path(cert)
    certificate.private_key_and_cert_chain_pem.write_to_path(both)
    return [
        {"tls_cert_file": str(cert), "tls_key_file": str(key)},
        {"tls_cert_file": str(both)},
    ]


def test_a_client_certificate(make_client, front, ca_file, store, client_files):
    url = f"rediss://localhost:{front(client_certificate=True).port}"
    assert not make_client(url, tls_ca_file=ca_file).statistics().connected
    for files in client_files:
        store.flushall()
        assert delivers(make_client(url, tls_ca_file=ca_file, **files))
        assert payloads(store) == numbered(50)


@pytest.mark.parametrize("name", ["tls_ca_file", "tls_cert_file", "tls_key_file"])
@pytest.mark.parametrize("content", [None, "not a certificate"])
def test_a_file_that_is_not_one_is_an_error_where_the_client_is_made(
    make_client, ca_file, tmp_path, name, content
):
    path = tmp_path / "file.pem"
    if content is not None:
        path.write_text(content)
    files = {"tls_cert_file": ca_file} if name == "tls_key_file" else {}
    with pytest.raises(ConfigurationError, match=name):
        make_client("rediss://localhost", start=False, **(files | {name: str(path)}))


# -- Unix socket, database, user -----------------------------------------------------------------


@pytest.fixture(scope="module")
def socket_server(make_server, tmp_path_factory):
    # The path of a Unix socket has 107 characters at most.
    path = tmp_path_factory.mktemp("s") / "s"
    running = make_server(port=0, unix_socket_path=path)
    running.start()
    return path


@pytest.fixture
def socket_store(socket_server):
    with redis.Redis(unix_socket_path=str(socket_server), db=3) as client:
        client.flushall()
        yield client


def test_a_unix_socket_and_a_database_number(make_client, socket_server, socket_store):
    client = make_client(f"unix://{socket_server}?db=3")
    publish_under_kills(client, socket_store)


def test_a_database_number_over_tcp(make_client, server, store):
    client = make_client(f"redis://127.0.0.1:{server.port}/5")
    assert delivers(client)
    assert store.dbsize() == 0
    with redis.Redis(port=server.port, db=5) as fifth:
        assert payloads(fifth) == numbered(50)


@pytest.fixture
def users(server, store):
    """Make a user that may do no more than publish and one that may all; yield the address."""
    store.acl_setuser(
        "narrow", enabled=True, passwords=[f"+{SECRET}"], keys=["trader-*"],
        commands=["+xadd", "+xinfo", "+xrange", "+multi", "+exec", "+ping"],
    )  # fmt: skip
    store.acl_setuser(
        "wide", enabled=True, passwords=[f"+{SECRET}"], keys=["trader-*"],
        categories=["+@all"],
    )  # fmt: skip
    yield f"127.0.0.1:{server.port}"
    store.acl_deluser("narrow", "wide")


def test_a_user_with_all_rights_on_its_streams(make_client, store, users):
    client = make_client(f"redis://wide:{SECRET}@{users}")
    publish_under_kills(client, store)


def test_a_user_that_may_do_no_more_than_publish(make_client, store, users):
    client = make_client(f"redis://narrow:{SECRET}@{users}")
    publish_under_kills(client, store, rounds=1)


# -- secrets from elsewhere ----------------------------------------------------------------------


def test_a_password_from_a_variable(make_client, store, users, monkeypatch):
    monkeypatch.setenv("BUS_PASSWORD", SECRET)
    client = make_client(f"redis://wide@{users}", password_env="BUS_PASSWORD")
    assert delivers(client)
    monkeypatch.setenv("BUS_PASSWORD", "wrong")
    with pytest.raises(LoginRefusedError) as caught:
        make_client(f"redis://wide@{users}", password_env="BUS_PASSWORD")
    assert "wrong" not in str(caught.value)


@pytest.fixture
def password_file(tmp_path):
    path = tmp_path / "password"
    path.write_text(f"{SECRET}\n")
    return path


def test_a_password_in_a_file_may_be_replaced_while_we_run(
    make_client, store, users, password_file, eventually
):
    client = make_client(f"redis://wide@{users}", password_file=str(password_file))
    assert delivers(client)
    password_file.unlink()
    store.acl_setuser("wide", enabled=True, passwords=[f"-{SECRET}", f"+{SECRET}-new"])
    store.execute_command("CLIENT", "KILL", "USER", "wide")
    client.offer(ORDERS, b"after")
    eventually(lambda: "cannot be read" in client.statistics().last_error)
    assert not client.flush_blocking(0.0)
    password_file.write_text(f"{SECRET}-new\n")
    assert client.flush_blocking(20.0)
    assert payloads(store) == [*numbered(50), b"after"]
    assert SECRET not in f"{client!r}{client.health()}{client.statistics()}"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"password_env": "NOT_SET_ANYWHERE"}, "the variable NOT_SET_ANYWHERE is not set"),
        ({"password_file": "/does/not/exist"}, "cannot be read: No such file"),
    ],
)
def test_a_password_that_cannot_be_read_is_an_error_where_the_client_is_made(
    make_client, given, reason
):
    with pytest.raises(ConfigurationError, match="password_") as caught:
        make_client("redis://localhost", start=False, **given)
    assert reason in str(caught.value)


class Tokens(redis.CredentialProvider):
    """Give out what it is told to, or fail."""

    def __init__(self, *tokens):
        self.tokens = itertools.cycle(tokens)

    def get_credentials(self):
        token = next(self.tokens)
        if token is None:
            raise RuntimeError(f"no token instead of {SECRET}")
        return "wide", token


def test_a_credential_provider_is_asked_at_every_connect(make_client, store, users):
    tokens = Tokens(SECRET, None)
    client = make_client(f"redis://{users}", credential_provider=tokens)
    publish_under_kills(client, store)


def test_a_credential_provider_that_fails_shows_no_secret(make_client, store, users):
    client = make_client(f"redis://{users}", credential_provider=Tokens(None))
    client.offer(ORDERS, b"x")
    assert "Tokens raised RuntimeError" in client.statistics().last_error
    assert SECRET not in f"{client!r}{client.health()}{client.statistics()}"


@pytest.mark.parametrize("url", ["redis://user@localhost", "redis://:word@localhost"])
def test_a_credential_provider_beside_a_login_is_refused(make_client, url):
    with pytest.raises(ConfigurationError, match="credential_provider"):
        make_client(url, start=False, credential_provider=Tokens("x"))


def test_something_else_as_a_credential_provider_is_refused(make_client):
    with pytest.raises(ConfigurationError, match="credential_provider"):
        make_client("redis://localhost", start=False, credential_provider=object())
