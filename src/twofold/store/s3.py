"""S3-compatible storage: where it is, and its errors in our words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from twofold.errors import ConfigError, Unavailable

if TYPE_CHECKING:
    from pyarrow.fs import S3FileSystem


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Config:
    """A place in S3-compatible storage.

    Attributes:
        url: `s3://bucket/prefix`; empty keeps everything in the data folder.
        endpoint: Address of a service that is not Amazon's, such as `https://minio.example:9000`.
        region: As the service names it.
        access_key, secret_key: Credentials; without them those of the machine's role are used.

    Raises:
        ConfigError: The address names no bucket, or half of the credentials is missing.
    """

    url: str = ""
    endpoint: str = ""
    region: str = "us-east-1"
    access_key: str = ""
    secret_key: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if self.url and (parts.scheme != "s3" or not parts.netloc):
            raise ConfigError(f"storage.url is {self.url!r}; write s3://bucket/prefix", setting="storage.url")
        if bool(self.access_key) != bool(self.secret_key):
            raise ConfigError("storage needs both access_key and secret_key, or neither", setting="storage.access_key")

    def path(self, *parts: str) -> str:
        """Bucket and key below the prefix.

        >>> S3Config(url="s3://telemetry/a/").path("blobs")
        'telemetry/a/blobs'
        """
        split = urlsplit(self.url)
        return "/".join(part for part in (split.netloc, split.path.strip("/"), *parts) if part)

    def options(self) -> Mapping[str, str]:
        """As delta-rs takes them. Entries of a log are created only where none stands: two writers cannot both."""
        found = {
            "AWS_REGION": self.region,
            "conditional_put": "etag",
            "timeout": "20s",
            "max_retries": "3",
            "retry_timeout": "60s",
        }
        if self.endpoint:
            found |= {
                "AWS_ENDPOINT_URL": self.endpoint,
                "AWS_ALLOW_HTTP": str(self.endpoint.startswith("http:")).lower(),
            }
        if self.access_key:
            found |= {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}
        return found

    def open(self) -> S3FileSystem:
        """Arrow's client."""
        from pyarrow import fs  # noqa: PLC0415 - loads the AWS SDK, which most installations never need

        split = urlsplit(self.endpoint)
        return fs.S3FileSystem(
            region=self.region,
            endpoint_override=split.netloc or None,
            scheme=split.scheme or "https",
            access_key=self.access_key or None,
            secret_key=self.secret_key or None,
            connect_timeout=5,
            request_timeout=20,
        )


@contextmanager
def reached(doing: str) -> Iterator[None]:
    """Raise what the service or the network refuses as `Unavailable`; what is not there stays `FileNotFoundError`."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Unavailable(f"cannot {doing}: {error}") from error
