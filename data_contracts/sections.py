"""The sections of conf/*.toml: what an operator may tune, and which values make sense."""

import ipaddress
import math
from dataclasses import dataclass
from datetime import UTC, datetime

LEAST_VACUUM_HOURS = 168
"""A reader or a slow writer may need a file for as long as this after it was replaced."""

OPEN, KEYS = "open", "keys"
"""Serving's access: to whoever reaches it, which must be this machine only, or to who has a key."""


@dataclass(frozen=True)
class Clock:
    """`stated` is a fixed ISO 8601 instant that lets an old log be served as if it were then; empty: the real time."""

    stated: str

    def __post_init__(self) -> None:
        try:
            self.now()
        except ValueError as error:
            raise ValueError(f"stated: {error}") from None

    def now(self) -> datetime:
        """The current instant, aware, in UTC."""
        return parsed_instant(self.stated) if self.stated else datetime.now(UTC)


@dataclass(frozen=True)
class Services:
    """Where the services listen (always loopback unless `host` says otherwise) and how long a start may take."""

    host: str
    spark_port: int
    airflow_port: int
    mlflow_port: int
    serving_port: int
    spark_driver_memory: str
    spark_cores: int
    airflow_user: str
    start_timeout_seconds: int
    least_free_disk_gib: int

    def __post_init__(self) -> None:
        ports = [self.spark_port, self.airflow_port, self.mlflow_port, self.serving_port]
        if not all(0 < port < 65536 for port in ports) or len(set(ports)) < len(ports):
            raise ValueError(f"*_port: the four ports must differ and lie within 1 and 65535, not {ports}")

    @property
    def is_loopback(self) -> bool:
        """Is `host` reached from this machine only?"""
        try:
            return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


@dataclass(frozen=True)
class Ingest:
    """When ingest_events runs by itself (`schedule`, a cron expression in UTC; empty: only when triggered), and which
    batches it refuses: those of at least `least_batch_events` with a larger share of broken rows."""

    schedule: str
    worst_rejected_share: float
    least_batch_events: int
    batch_bytes: int

    def __post_init__(self) -> None:
        if not 0 <= self.worst_rejected_share <= 1:
            raise ValueError(f"worst_rejected_share is {self.worst_rejected_share}, not within 0 and 1")
        if self.least_batch_events < 1 or self.batch_bytes < 1:
            raise ValueError("least_batch_events and batch_bytes must be at least 1")


@dataclass(frozen=True)
class Retention:
    """How long maintain_tables keeps what, and to which size it brings files. Segments and raw_events are deleted only
    when what they hold is proven to be further on."""

    schedule: str
    landing_days: int
    raw_days: int
    log_days: int
    vacuum_hours: int
    file_bytes: int

    def __post_init__(self) -> None:
        if self.vacuum_hours < LEAST_VACUUM_HOURS:
            raise ValueError(
                f"vacuum_hours is {self.vacuum_hours}; at least {LEAST_VACUUM_HOURS}, or files in use may be deleted"
            )
        if self.log_days * 24 < self.vacuum_hours:
            raise ValueError(
                f"log_days is {self.log_days}; Delta keeps its log at least as long as files: {self.vacuum_hours} hours"
            )
        if min(self.landing_days, self.raw_days) < 0 or self.file_bytes < 1:
            raise ValueError("landing_days and raw_days may not be negative, nor file_bytes under 1")


@dataclass(frozen=True)
class Features:
    """`feature_set` names a file of data_contracts/feature_sets, or is the path of one elsewhere."""

    feature_set: str


@dataclass(frozen=True)
class Training:
    """When train_ad_ctr runs by itself (`schedule`, a cron expression in UTC; empty: only when triggered), sizes of the
    time slices (newest last: train, early stopping, calibration, holdout), which share of the train slice's non-clicks
    is learnt from, XGBoost's knobs, and between which ratios to their recent history clicks must come in for anything
    to be trained."""

    schedule: str
    early_stopping_hours: int
    calibration_hours: int
    holdout_hours: int
    warmup_hours: int
    keep_rate: float
    rounds: int
    early_stopping_rounds: int
    max_depth: int
    learning_rate: float
    min_child_weight: float
    subsample: float
    colsample_bytree: float
    reg_lambda: float
    seed: int
    least_click_ratio: float
    most_click_ratio: float

    def __post_init__(self) -> None:
        counts = ("early_stopping_hours", "calibration_hours", "holdout_hours", "rounds", "early_stopping_rounds")
        for name in (*counts, "max_depth"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, not at least 1")
        for name in ("keep_rate", "learning_rate", "subsample", "colsample_bytree"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}, not above 0 and at most 1")
        for name in ("warmup_hours", "min_child_weight", "reg_lambda", "seed"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}, not a finite number of at least 0")
        if not 0 <= self.least_click_ratio < self.most_click_ratio:
            ratios = f"{self.least_click_ratio} and {self.most_click_ratio}"
            raise ValueError(f"least_click_ratio and most_click_ratio are {ratios}, not 0 or more and in that order")


@dataclass(frozen=True)
class Gate:
    """What a challenger must meet before it may take traffic (see ml/evaluate.py)."""

    calibration_ratio_low: float
    calibration_ratio_high: float
    worst_relative_entropy_change: float
    suspicious_relative_entropy_gain: float
    slice_columns: tuple[str, ...]
    slice_least_clicks: int
    bootstrap_rounds: int
    seed: int

    def __post_init__(self) -> None:
        if not 0 < self.calibration_ratio_low <= 1 <= self.calibration_ratio_high:
            raise ValueError(
                f"calibration_ratio_low and _high must lie on both sides of 1, not {self.calibration_ratio_low} and "
                f"{self.calibration_ratio_high}"
            )
        if self.bootstrap_rounds < 1 or self.slice_least_clicks < 1:
            raise ValueError("bootstrap_rounds and slice_least_clicks must be at least 1")


@dataclass(frozen=True)
class Canary:
    """When a canary ends by itself: where, of `least_rows` ads of `least_users` that the champion scores too, the mean
    of its probabilities is outside of these ratios to the champion's, or their quantile distance is larger; and where,
    with `least_clicks` in both, its calibration is outside of these ratios to the champion's, and certainly not
    equal, by labels that are `label_age_hours` old."""

    least_rows: int
    least_users: int
    mean_ratio_low: float
    mean_ratio_high: float
    most_quantile_distance: float
    label_age_hours: int
    least_clicks: int
    calibration_change_low: float
    calibration_change_high: float

    def __post_init__(self) -> None:
        for name in ("least_rows", "least_users", "label_age_hours", "least_clicks", "most_quantile_distance"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}, not above 0")
        for name in ("mean_ratio", "calibration_change"):
            low, high = (getattr(self, f"{name}_{end}") for end in ("low", "high"))
            if not 0 < low <= 1 <= high:
                raise ValueError(f"{name}_low and _high must lie on both sides of 1, not {low} and {high}")


@dataclass(frozen=True)
class Serving:
    """How the scoring endpoint behaves, and whom it answers (`access`)."""

    workers: int
    access: str
    champion_poll_seconds: float
    default_position: int
    prior_strength: float
    slate_limit: int
    body_limit_bytes: int
    invocations_limit_bytes: int
    segment_limit_bytes: int
    segment_limit_seconds: float
    log_queue_bytes: int
    event_batch_limit: int
    event_window: int
    oldest_event_days: int
    queue_delay_seconds: float
    in_flight_limit: int
    connection_limit: int
    receive_seconds: float

    def __post_init__(self) -> None:
        if self.access not in (OPEN, KEYS):
            raise ValueError(f"access is {self.access!r}, not {OPEN!r} or {KEYS!r}")
        if useless := [name for name, value in vars(self).items() if name != "access" and value <= 0]:
            raise ValueError(f"{', '.join(useless)} must be greater than 0")


def parsed_instant(text: str) -> datetime:
    """An aware UTC instant from ISO 8601 text that states its zone; ValueError otherwise."""
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone; for UTC write {instant.isoformat()}Z")
    return instant.astimezone(UTC)
