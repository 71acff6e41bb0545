"""Every receiver of events that other systems word, as one list."""

from __future__ import annotations

from typing import Final

from twofold.aiops.ingest.events.alertmanager import Alertmanager, Grafana
from twofold.aiops.ingest.events.argocd import ArgoCD
from twofold.aiops.ingest.events.cloudevents import CloudEvents
from twofold.aiops.ingest.events.github import GitHub
from twofold.aiops.ingest.events.gitlab import GitLab
from twofold.aiops.ingest.events.kubernetes import Kubernetes
from twofold.aiops.ingest.events.notices import Notices
from twofold.aiops.ingest.events.pagerduty import PagerDuty, PagerDutyChange

WEBHOOKS: Final[tuple[type[Notices], ...]] = (
    Alertmanager,
    Grafana,
    PagerDuty,
    PagerDutyChange,
    CloudEvents,
    GitHub,
    GitLab,
    ArgoCD,
    Kubernetes,
)
