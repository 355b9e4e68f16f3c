"""What the App Store signs, signed by certificates of our own: same chain, marks and JWS.

A verifier that pins `Chain.root` takes it for Apple's. Each argument of `make_chain` makes one
thing wrong.
"""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID
from loopback import Answer, Request

LEAF_MARK = "1.2.840.113635.100.6.11.1"
INTERMEDIATE_MARK = "1.2.840.113635.100.6.2.1"
ALWAYS = (datetime(2020, 1, 1, tzinfo=UTC), datetime(2120, 1, 1, tzinfo=UTC))

Validity = tuple[datetime, datetime]


@dataclass(frozen=True)
class Certificate:
    x509: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def der(self) -> bytes:
        return self.x509.public_bytes(Encoding.DER)


@dataclass(frozen=True)
class Chain:
    root: Certificate
    intermediate: Certificate
    leaf: Certificate

    def sign(
        self,
        payload: dict[str, Any],
        *,
        key: ec.EllipticCurvePrivateKey | None = None,
        x5c: Sequence[Certificate] | None = None,
        alg: str = "ES256",
    ) -> str:
        """Sign a payload as Apple does: ES256 by the leaf, with the whole chain in the header."""
        shown = (self.leaf, self.intermediate, self.root) if x5c is None else x5c
        header = {"alg": alg, "x5c": [base64.b64encode(one.der).decode() for one in shown]}
        signed = f"{encode(header)}.{encode(payload)}"
        return f"{signed}.{base64url(es256(key or self.leaf.key, signed.encode()))}"


def make_chain(
    *,
    leaf_mark: str | None = LEAF_MARK,
    intermediate_mark: str | None = INTERMEDIATE_MARK,
    leaf_valid: Validity = ALWAYS,
    intermediate_valid: Validity = ALWAYS,
    intermediate_is_ca: bool = True,
    ocsp_url: str | None = None,
) -> Chain:
    root = issue("Root", curve=ec.SECP384R1(), is_ca=True)
    intermediate = issue(
        "Intermediate",
        by=root,
        curve=ec.SECP384R1(),
        is_ca=intermediate_is_ca,
        mark=intermediate_mark,
        valid=intermediate_valid,
        ocsp_url=ocsp_url,
    )
    leaf = issue("Leaf", by=intermediate, mark=leaf_mark, valid=leaf_valid, ocsp_url=ocsp_url)
    return Chain(root, intermediate, leaf)


def issue(
    name: str,
    *,
    by: Certificate | None = None,
    curve: ec.EllipticCurve | None = None,
    is_ca: bool = False,
    mark: str | None = None,
    valid: Validity = ALWAYS,
    ocsp_url: str | None = None,
    may_answer: bool = False,
) -> Certificate:
    """Make a certificate that OpenSSL's strict mode takes, signed by another or by itself."""
    key = ec.generate_private_key(curve or ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer = by.key if by else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.x509.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(valid[0])
        .not_valid_after(valid[1])
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .add_extension(_usage(is_ca), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False
        )
    )
    if mark:
        null = x509.UnrecognizedExtension(x509.ObjectIdentifier(mark), b"\x05\x00")
        builder = builder.add_extension(null, critical=False)
    if ocsp_url:
        location = x509.UniformResourceIdentifier(ocsp_url)
        about = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, location)
        builder = builder.add_extension(x509.AuthorityInformationAccess([about]), critical=False)
    if may_answer:
        answers = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING])
        builder = builder.add_extension(answers, critical=False)
    return Certificate(builder.sign(signer, hashes.SHA256()), key)


def _usage(is_ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=is_ca,
        crl_sign=is_ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


# --- JSON Web Signatures --------------------------------------------------------------------------


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def encode(claims: dict[str, Any]) -> str:
    return base64url(json.dumps(claims).encode())


def es256(key: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32) + s.to_bytes(32)


# --- OCSP -----------------------------------------------------------------------------------------


@dataclass
class Responder:
    """Answers for a chain's two upper certificates; all are good unless told otherwise."""

    chain: Chain | None = None  # made after the responder, whose address its certificates hold
    leaf: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD
    intermediate: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD
    age: timedelta = timedelta(0)
    signer: Certificate | None = None  # of the answer about the leaf, instead of its issuer
    http_status: int = 200

    def __call__(self, request: Request) -> Answer:
        assert self.chain
        asked = ocsp.load_der_ocsp_request(request.body).serial_number
        if asked == self.chain.leaf.x509.serial_number:
            one, issuer, status = self.chain.leaf, self.chain.intermediate, self.leaf
            signer = self.signer or issuer
        else:
            one, issuer, status = self.chain.intermediate, self.chain.root, self.intermediate
            signer = issuer
        body = self._answer(one, issuer, signer, status)
        return Answer(self.http_status, body, "application/ocsp-response")

    def _answer(
        self,
        one: Certificate,
        issuer: Certificate,
        signer: Certificate,
        status: ocsp.OCSPCertStatus,
    ) -> bytes:
        answered = datetime.now(UTC) - self.age
        is_revoked = status is ocsp.OCSPCertStatus.REVOKED
        builder = (
            ocsp.OCSPResponseBuilder()
            .add_response(
                cert=one.x509,
                issuer=issuer.x509,
                algorithm=hashes.SHA256(),
                cert_status=status,
                this_update=answered,
                next_update=answered + timedelta(hours=1),
                revocation_time=answered if is_revoked else None,
                revocation_reason=None,
            )
            .responder_id(ocsp.OCSPResponderEncoding.HASH, signer.x509)
            .certificates([signer.x509])
        )
        return builder.sign(signer.key, hashes.SHA256()).public_bytes(Encoding.DER)
