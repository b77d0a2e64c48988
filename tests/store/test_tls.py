"""`rediss` URLs speak TLS and check the certificate; a small proxy wraps the plain server for these tests."""

import asyncio
import datetime
import ipaddress
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app.errors import StoreUnavailable
from app.store import Script
from tests.store.conftest import opened
from tests.support.servers import RealServer


def make_certificate(folder: Path, address: str) -> tuple[Path, Path]:
    """A self-signed certificate for an IP address, and its key, as PEM files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "store of the tests")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, key_path = folder / f"{address}.pem", folder / f"{address}.key"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return pem, key_path


@asynccontextmanager
async def tls_proxy(server: RealServer, pem: Path, key: Path) -> AsyncIterator[int]:
    """The port of a TLS end in front of the server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", server.port)
        await asyncio.gather(copy(reader, inner_writer), copy(inner_reader, writer))

    proxy = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with proxy:
        yield proxy.sockets[0].getsockname()[1]


async def test_a_certificate_of_the_named_authority_is_accepted(
    server: RealServer, add: Script, tmp_path: Path
) -> None:
    pem, key = make_certificate(tmp_path, "127.0.0.1")
    async with tls_proxy(server, pem, key) as port, opened(f"rediss://127.0.0.1:{port}?ca={pem}") as store:
        assert await store.run(add, {"counter": "n"}, {"count": 2}) == 2


async def test_an_unknown_certificate_or_another_name_is_refused(
    server: RealServer, add: Script, tmp_path: Path
) -> None:
    pem, key = make_certificate(tmp_path, "192.0.2.1")
    async with tls_proxy(server, pem, key) as port:
        for query in ("", f"?ca={pem}"):
            async with opened(f"rediss://127.0.0.1:{port}{query}") as store:
                with pytest.raises(StoreUnavailable):
                    await store.run(add, {"counter": "n"}, {"count": 2})
        async with opened(f"rediss://127.0.0.1:{port}?ca={pem}&check_hostname=no") as store:
            assert await store.run(add, {"counter": "n"}, {"count": 2}) == 2
