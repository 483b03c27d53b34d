"""The CTR that is left when counts or model are not there: of the ad, else of its campaign, else of all, smoothed.

It travels in the model's bundle as prior.json, so that it needs nothing else.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import NamedTuple

PRIOR_FILE = "prior.json"


class Shown(NamedTuple):
    """Clicks and impressions."""

    clicks: int
    impressions: int


@dataclass(frozen=True)
class Prior:
    """Clicks and impressions of all ads, by campaign and by ad; `campaign_of` names an ad's campaign."""

    total: Shown
    campaigns: Mapping[str, Shown]
    ads: Mapping[str, Shown]
    campaign_of: Mapping[str, str]

    def inputs(self, ad_id: str, strength: float) -> dict[str, float]:
        """What the prior of an ad is computed from; an ad or campaign never seen counts 0."""
        campaign = self.campaigns.get(self.campaign_of.get(ad_id, ""), NOTHING)
        ad = self.ads.get(ad_id, NOTHING)
        return {
            "clicks": float(self.total.clicks),
            "impressions": float(self.total.impressions),
            "campaign_clicks": float(campaign.clicks),
            "campaign_impressions": float(campaign.impressions),
            "ad_clicks": float(ad.clicks),
            "ad_impressions": float(ad.impressions),
            "prior_strength": strength,
        }

    def as_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "Prior":
        """Raises ValueError on text that is no prior."""
        try:
            content = json.loads(text)
            found = cls(
                Shown(*content["total"]),
                {name: Shown(*counts) for name, counts in content["campaigns"].items()},
                {name: Shown(*counts) for name, counts in content["ads"].items()},
                dict(content["campaign_of"]),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{PRIOR_FILE} is no prior: {error}") from None
        if not 0 <= found.total.clicks <= found.total.impressions or not found.total.impressions:
            raise ValueError(f"{PRIOR_FILE} holds no impression")
        return found


NOTHING = Shown(0, 0)


def smoothed_ctr(clicks: float, impressions: float, parent: float, strength: float) -> float:
    """Posterior mean of a CTR under a Beta prior around its parent's, which weighs `strength` impressions."""
    weight = impressions + strength
    return (clicks + parent * strength) / weight if weight else parent


def prior_ctr(inputs: Mapping[str, float]) -> float:
    """The prior of an ad from Prior.inputs: each CTR is drawn towards its parent's."""
    strength, found = inputs["prior_strength"], inputs["clicks"] / inputs["impressions"]
    for of in ("campaign", "ad"):
        found = smoothed_ctr(inputs[f"{of}_clicks"], inputs[f"{of}_impressions"], found, strength)
    return found
