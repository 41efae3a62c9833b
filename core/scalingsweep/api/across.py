"""Rules across the fields of a sweep, as the API server checks them: the twins of `check`.

What CEL cannot say (a longer cycle of arms, a budget that the source does not have, written in
another way) the operator finds with `check` itself, and a condition tells it.
"""

from scalingsweep.api.cluster import Rule

_CORPORA = "self.corpora.map(c, c.name)"
_ARMS = "self.arms.map(s, s.name)"
_FROM_ARM = "has(a.init) && has(a.init.arm)"


def _no_corpus(name: str) -> str:
    return f"!self.corpora.exists(c, c.name == {name})"


def _source(is_so: str) -> str:
    """Whether something is so of the arm `s` that `a` starts from."""
    return f"self.arms.exists(s, s.name == a.init.arm && ({is_so}))"


def _count(budgets: str) -> str:
    """How many budgets there are, in whatever measure."""
    measures = ("tokens", "tokensPerParameter", "flops")
    return " + ".join(f"(has({budgets}.{m}) ? {budgets}.{m}.size() : 0)" for m in measures)


def _no_arm(wrong: str, message: str, *names: str) -> Rule:
    """No arm `a` may be so; the message has a %s for each of the names."""
    # format, for the API server estimates what + costs by the longest text that there can be
    text = f"'arm %s: {message}'.format([a.name{''.join(f', {name}' for name in names)}])"
    return Rule(
        cel=f"!self.arms.exists(a, {wrong})",
        message=message.replace("%s", "…"),
        says=f"self.arms.filter(a, {wrong}).map(a, {text})[0]",
        at=".arms",
    )


RULES = (
    _no_arm(
        _no_corpus("a.corpus"),
        "corpus: no corpus is called %s; there are %s",
        "a.corpus",
        _CORPORA,
    ),
    _no_arm(
        f"has(a.replay) && {_no_corpus('a.replay.corpus')}",
        "replay.corpus: no corpus is called %s; there are %s",
        "a.replay.corpus",
        _CORPORA,
    ),
    Rule(
        cel=f"!has(self.tokenizer.train) || "
        f"!self.tokenizer.train.corpora.exists(n, {_no_corpus('n')})",
        message="names a corpus that is not in spec.corpora",
        says=f"self.tokenizer.train.corpora.filter(n, {_no_corpus('n')})"
        f".map(n, 'no corpus is called %s; there are %s'.format([n, {_CORPORA}]))[0]",
        at=".tokenizer.train.corpora",
    ),
    _no_arm(
        f"{_FROM_ARM} && !{_source('true')}",
        "init.arm: no arm is called %s; there are %s",
        "a.init.arm",
        _ARMS,
    ),
    _no_arm(
        f"{_FROM_ARM} && (a.init.arm == a.name || "
        f"{_source('has(s.init) && has(s.init.arm) && s.init.arm == a.name')})",
        "init.arm: is a cycle: one of its arms must start from scratch",
    ),
    _no_arm(
        f"{_FROM_ARM} && !has(a.init.budget) && "
        + _source(f"has(s.budgets) ? {_count('s.budgets')} > 1 : {_count('self.budgets')} > 1"),
        "init.budget: is required: %s has several budgets; name one",
        "a.init.arm",
    ),
    _no_arm(
        "self.training.schedule.type == 'cosine' && has(a.init) && a.init.checkpoint == 'stable'",
        "init.checkpoint: stable needs schedule wsd: cosine has no trunk",
    ),
    Rule(
        cel="oldSelf.corpora.all(o, self.corpora.exists(c, c.name == o.name))",
        message="corpora may be added, but none may go: put it back",
        at=".corpora",
    ),
    Rule(  # on one machine an embedded server stands in
        cel="has(self.storage)",
        message="is required on a cluster: name the bucket, as storage: {s3: {bucket: studies}}",
        at=".storage",
    ),
)
"""Checked on `spec`."""

NAME = Rule(
    cel="self.metadata.name.size() <= 35 && "
    "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
    message="metadata.name: at most 35 characters: small letters, digits and hyphens, a letter "
    "first",
)
"""Checked on the resource as a whole: names of pods begin with the sweep's."""
