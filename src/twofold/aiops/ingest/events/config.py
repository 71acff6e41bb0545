"""Settings of the receivers of events: what senders sign with, and what they call our entities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from twofold.errors import ConfigError
from twofold.records.entity import EntityKind


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookConfig:
    """Secrets and names. A receiver with a secret needs no token besides: the signature is the credential.

    Attributes:
        github_secret: What GitHub signs bodies with (`X-Hub-Signature-256`).
        gitlab_token: What GitLab sends as `X-Gitlab-Token`.
        grafana_secret: What Grafana signs bodies with (`X-Grafana-Alerting-Signature`).
        pagerduty_keys: Routing keys that are taken; empty takes any.
        entities: Names of other systems (`owner/repository`, a project, an application) to entity ids.

    Raises:
        ConfigError: A value of `entities` is no entity id.
    """

    github_secret: str = ""
    gitlab_token: str = ""
    grafana_secret: str = ""
    pagerduty_keys: tuple[str, ...] = ()
    entities: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, entity in self.entities.items():
            kind, _, rest = entity.partition(":")
            if kind not in set(EntityKind) or not rest:
                raise ConfigError(
                    f"ingest.webhooks.entities names {entity!r} for {name!r}; write kind:name with a kind of "
                    f"{', '.join(sorted(EntityKind))}",
                    setting="ingest.webhooks.entities",
                )
