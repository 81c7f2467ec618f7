"""The text of a preregistration of a study: question, plan, exclusion rules, seed, analysis and the simulated sample size.

For a registry such as OSF or AsPredicted; what only the researcher knows stands in brackets.
"""

from __future__ import annotations

from core import __version__
from core.analysis.bootstrap import RESAMPLES
from core.analysis.sample_size import SampleSizePlan
from core.studies.exclusions import ExclusionRules

QUESTIONS = {
    "identity": "How alike are two faces (0 to 100), and do they show the same person (yes or no)?",
    "emotion": "Which of six emotions (surprise, fear, disgust, happiness, sadness, anger) does a face show?",
}


def describe_rules(rules: ExclusionRules, *, identity: bool, checks: bool = True) -> list[str]:
    """The exclusion rules that are on, a sentence each. checks: whether there are attention checks."""
    enough = f"of those who gave at least {rules.least_answers} answers"
    sentences = []
    if rules.sentinels and checks:
        sentences.append(f"Who does not have more than {rules.sentinel_share:.0%} of the attention checks right is left out.")
    if rules.too_fast:
        sentences.append(f"Who has a median reaction time below {rules.fastest_ms:.0f} ms is left out, {enough}.")
    if rules.same_answer:
        sentences.append(f"Who gave one and the same answer throughout is left out, {enough}.")
    if rules.constant_similarity and identity:
        sentences.append(f"Who never moved the slider of similarity is left out, {enough}.")
    return sentences


def make_preregistration(
    size: SampleSizePlan, *, title: str = "", raters: int | None = None, rules: ExclusionRules | None = None
) -> str:
    """The text, Markdown. raters: how many are to count; default: the fewest with a power of 80 %, else the most simulated."""
    identity, plan = size.plan.kind == "identity", size.plan
    noun = "pairs" if identity else "faces"
    enough = size.find_enough(size.images) if any(row.images == size.images for row in size.rows) else None
    counted = raters or (enough.raters if enough else max(row.raters for row in size.rows))
    unit = "of the share of 'same person'" if identity else "bits of entropy"
    widths = [name for name in size.rows[0].widths if any(row.widths[name] == row.widths[name] for row in size.rows)]
    rules = rules or ExclusionRules.of_plan(plan)
    analysis = (
        [
            "Mean similarity and the share of 'same person' by sample type, with 95 % intervals by a crossed bootstrap over raters "
            f"and pairs ({RESAMPLES:,} resamples, seed 0).",
            "A linear mixed model, similarity ~ sample type x distance + (1 | rater) + (1 | pair), by restricted maximum "
            "likelihood; equal slopes by a Wald test.",
            f"The share of pairs that {size.recogniser or 'the recogniser'} accepts at its default threshold, with Wilson's "
            "interval, beside the share that people take for one person.",
        ]
        if identity
        else [
            "Entropy of the choices about each face in bits with the Miller-Madow correction, and its mean with a 95 % interval by "
            f"a crossed bootstrap over raters and faces ({RESAMPLES:,} resamples, seed 0).",
            *(
                [
                    "The share of faces for which people name both emotions of the pair, one of them, or another.",
                    "A generalized linear mixed model of the choice between the two emotions by the guiding classifier's log odds, "
                    "with raters and faces as random intercepts.",
                ]
                if "first emotion" in widths  # own pictures were made between no two emotions
                else []
            ),
        ]
    )
    lines = [
        f"# Preregistration: {title or '[title]'}",
        "",
        "## Question and hypotheses",
        "",
        QUESTIONS[plan.kind],
        "",
        "[Hypotheses, and which of the analyses below test them.]",
        "",
        "## Plan",
        "",
        f"- Stimuli: {size.images:,} {noun} of the sample sets {', '.join(size.sets)}, fixed before data are collected.",
        f"- Each rater gets {plan.trials:,} {noun} and {plan.sentinels:,} attention checks, in a random order of their own; every "
        f"one of the {noun} gets about as many votes as every other.",
        f"- Seed of assignment and order: {plan.seed}.",
        *(
            []
            if identity
            else [f"- A face is shown for {plan.image_ms} ms after a cross of {plan.fixation_ms} ms (image 0: until the answer)."]
        ),
        f"- Data of {counted:,} raters who count after exclusions are collected; then collection stops. About "
        f"{size.recruited(counted):,} people are recruited for that.",
        "- Nobody looks at results before collection has stopped. [Or: when and why.]",
        "",
        "## Exclusion rules, set before data are collected",
        "",
        *(f"- {sentence}" for sentence in describe_rules(rules, identity=identity, checks=bool(plan.sentinels))),
        "- No single answer is left out.",
        "",
        "## Analysis",
        "",
        *(f"- {sentence}" for sentence in analysis),
        f"- Software: Liminal {__version__}. Tests are two-sided at 5 %; tests of one table are corrected by Holm's method.",
        "",
        "## Sample size (SIMULATED)",
        "",
        f"Not from people: {size.repeats} studies were drawn for each row, with simulated observers who look at these {noun} (seed "
        f"{size.seed}). {1 - size.counted:.0%} of such observers do not pay attention and have to be recruited in addition. Widths "
        f"are those of 95 % intervals; power is for a difference of {size.difference:g} {unit} between two halves of the {noun}, "
        "both seen by the same people, at 5 %.",
        "",
        f"| {' | '.join(['raters who count', noun, 'votes each', *(f'width: {name}' for name in widths), 'power'])} |",
        "|" + "---|" * (4 + len(widths)),
        *(
            f"| {row.raters:,} | {row.images:,} | {row.votes:.1f} | "
            f"{' | '.join(_format(row.widths[name], '.3f') for name in widths)} | {_format(row.power, '.0%')} |"
            for row in size.rows
        ),
        "",
    ]
    return "\n".join(lines)


def _format(value: float, form: str) -> str:
    return format(value, form) if value == value else "-"
