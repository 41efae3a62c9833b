"""What a user gets wrong: one clear line on stderr that names where and the mend, exit status 2.

The tables here are of manifests, tables of runs, and of what `run` meets before a GPU is asked for:
storage, corpora, given checkpoints. What else can be wrong shows only amid the work, and is tested
beside it; ELSEWHERE says where.
"""

import copy
import dataclasses
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import yaml

from support import checkpoints, command, corpora, manifests, resign
from support.s3 import S3

Edit = Callable[[dict[str, Any]], None]

TABLE = "N,D,loss\n" + "".join(
    f"{n},{d},{1.7 + 400 / n**0.34 + 400 / d**0.28:.6f}\n"
    for n in (10_000_000, 40_000_000, 160_000_000)
    for d in (200_000_000, 800_000_000, 3_200_000_000)
)
"""A good table, so that each row below spoils one thing."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """One mistake."""

    name: str
    says: tuple[str, ...]
    """What the line must hold: where, and the mend."""
    arguments: tuple[str, ...] = ("plan", "sweep.yaml")
    edit: Edit | None = None
    """What is changed in a good manifest."""
    manifest: str | None = None
    """A manifest's text instead."""
    table: str | bytes | None = None
    """The content of runs.csv."""


def put(where: str, value: Any) -> Edit:
    """Set a field: `spec.arms.1.corpus`."""

    def edit(manifest: dict[str, Any]) -> None:
        *path, last = [int(part) if part.isdigit() else part for part in where.split(".")]
        at: Any = manifest
        for part in path:
            at = at[part]
        at[last] = value

    return edit


def remove(name: str) -> Edit:
    """Leave a top-level field out."""
    return lambda manifest: manifest.pop(name) and None


def bad(name: str, where: str, value: Any, *says: str) -> Case:
    """A good manifest with one field that is wrong."""
    return Case(name=name, edit=put(where, value), says=says)


def edits(*each: Edit) -> Edit:
    """Several edits of one manifest."""

    def edit(manifest: dict[str, Any]) -> None:
        for one in each:
            one(manifest)

    return edit


def csv(name: str, table: str | bytes | None, *says: str, options: tuple[str, ...] = ()) -> Case:
    """A table that `fit` refuses."""
    return Case(name=name, arguments=("fit", "runs.csv", *options), table=table, says=says)


def whole() -> dict[str, Any]:
    return manifests.whole(manifests.small())


GOOD = yaml.safe_dump(whole())

CASES = [
    bad("unknown field", "spec.colour", "red", "spec.colour: unknown field", "remove it"),
    bad("misspelt field", "spec.training.batchToken", {}, "did you mean batchTokens?"),
    bad("size 50X", "spec.model.sizes", ["27k", "50X"], "spec.model.sizes[1]: '50X'", "as 50M"),
    bad("size twice", "spec.model.sizes", ["27k", "27k"], "27k twice", "name each size once"),
    bad("half a shape", "spec.model.sizes", [{"name": "a", "hiddenSize": 8}], "sizes[0].inter"),
    bad("arm cycle", "spec.arms.0.init", {"arm": "cpt", "budget": "2M"}, "arms[0].init.arm: is a "
        "cycle", "one of them must start from scratch"),
    bad("unknown arm", "spec.arms.2.init", {"arm": "sorce"}, "spec.arms[2].init.arm", "'sorce'",
        "there are source, scratch"),
    bad("replay ratio 1.5", "spec.arms.3.replay.ratio", 1.5, "spec.arms[3].replay.ratio: must be "
        "below 1, not 1.5"),
    bad("replay without init", "spec.arms.1.replay", {"corpus": "en", "ratio": 0.1}, "needs init"),
    bad("budgets {}", "spec.budgets", {}, "spec.budgets: give exactly one of tokens, "
        "tokensPerParameter, flops"),
    bad("budgets []", "spec.budgets", {"tokens": []}, "spec.budgets.tokens: is empty: give at"),
    bad("budget in words", "spec.budgets", {"tokens": ["2 million"]}, "budgets.tokens[0]",
        "as 50M"),
    bad("source budget", "spec.arms.2.init", {"arm": "source", "budget": "3M"}, "init.budget: "
        "source has no budget 3M; it has 2M"),
    bad("unknown corpus", "spec.arms.1.corpus", "de", "spec.arms[1].corpus: no corpus is called "
        "'de'; there are en, fr"),
    bad("corpus twice", "spec.corpora.1.name", "en", "spec.corpora[1].name: 'en' is taken"),
    bad("arm twice", "spec.arms.2.name", "scratch", "spec.arms[2].name: 'scratch' is taken"),
    bad("long warm-up", "spec.training.schedule", {"warmup": {"tokens": "1M"}},
        "spec.training.schedule.warmup", "shorten the warm-up or raise the budget"),
    bad("auto below 20M", "spec.training.batchTokens", {"rule": "auto"},
        "spec.training.batchTokens: rule: auto holds from 20M", "give bySize"),
    bad("no rule fits", "spec.resources", [{"upTo": "10k"}], "spec.resources", "a larger upTo"),
    bad("tokenizer without size", "spec.tokenizer", {"uri": "t.json"}, "spec.tokenizer: vocabSize "
        "is required with uri"),
    bad("map for a list", "spec.arms", {"a": 1}, "spec.arms: must be a list, not a map"),
    bad("empty field", "spec.model", None, "spec.model: must be a map of fields", "give a value"),
    bad("endpoint", "spec.storage", {"s3": {"bucket": "studies", "endpoint": "ftp//nothing"}},
        "spec.storage.s3.endpoint: 'ftp//nothing' does not fit", "write http://HOST:PORT or"),
    bad("name", "metadata.name", "My Study", "metadata.name: 'My Study'", "small letters"),
    bad("escape codes", "spec.corpora.0.name", "e\x1b[31mn", r"'e\x1b[31mn'", "small letters"),
    Case(name="a sweep for years",
         edit=edits(
             put("spec.training.seeds", list(range(64))),
             put("spec.model.sizes", [f"{n}k" for n in range(30, 60)]),
             put("spec.budgets.tokens", [f"{n}k" for n in range(250, 260)]),
         ),
         says=("spec: plans ", "a sweep holds 12000", "or make two sweeps of it")),
    Case(name="kind missing", edit=remove("kind"), says=("sweep.yaml", "kind: ScalingSweep")),
    Case(name="a bare no", manifest=GOOD.replace("name: fr", "name: no", 1),
         says=("spec.corpora[1].name: must be text, not false", "quote it")),
    Case(name="YAML", manifest="kind: ScalingSweep\nspec: [\n", says=("sweep.yaml: ", "(line 3)")),
    Case(name="two documents", manifest=f"{GOOD}---\n{GOOD}", says=("sweep.yaml: holds 2", "one ")),
    Case(name="empty manifest", manifest="", says=("sweep.yaml: holds 0 documents",)),
    Case(name="no manifest", arguments=("plan", "other.yaml"), says=("other.yaml: ", "check the")),
    Case(name="a folder", arguments=("plan", "."), says=(".: is a folder: name a file",)),
    Case(name="--corpus", arguments=("plan", "sweep.yaml", "--corpus", "en"),
         says=("--corpus: 'en' is not NAME=FOLDER",)),
    Case(name="--corpus folder", arguments=("plan", "sweep.yaml", "--corpus", "en=none"),
         says=("--corpus: none: there is no such folder",)),
    Case(name="not run yet", arguments=("results", "sweep.yaml"),
         says=("sweep.yaml: ", "scalingsweep run sweep.yaml")),
    Case(name="unknown command", arguments=("pln",), says=("'pln'", "scalingsweep --help")),
    Case(name="unknown option", arguments=("fit", "--lore"), says=("--lore", "scalingsweep fit")),
    Case(name="unknown law", arguments=("fit", "runs.csv", "--law", "kaplan"), table=TABLE,
         says=("--law", "'kaplan'", "'chinchilla', 'extended'")),
    csv("few resamples", TABLE, "--bootstrap", "at least 100", options=("--bootstrap", "7")),
    csv("delta nan", TABLE, "--delta", "must be a number", options=("--delta", "nan")),
    csv("no table", None, "runs.csv: there is no such file"),
    csv("empty table", "", "runs.csv: is empty", "a header with N, D and loss"),
    csv("no rows", "N,D,loss\n", "runs.csv: has 0 rows", "5 parameters", "bring more rows"),
    csv("columns", "N,steps,loss\n1,2,3\n", "runs.csv: lacks the column D", "it has N, steps,"),
    csv("columns twice", "N,D,D,loss\n1,2,3,4\n", "runs.csv: has two columns called 'D'"),
    csv("semicolons", TABLE.replace(",", ";"), "runs.csv: is separated by ';'", "commas"),
    csv("negative loss", TABLE + "1e7,2e8,-3.2\n", "runs.csv, line 11, column loss: -3.2 is not"),
    csv("text", TABLE + "1e7,many,3.2\n", "runs.csv, line 11, column D: 'many' is not a number"),
    csv("nan", TABLE + "1e7,2e8,nan\n", "runs.csv, line 11, column loss: 'nan' is not a number"),
    csv("a hole", TABLE + "1e7,,3.2\n", "runs.csv, line 11, column D: is empty", "remove the line"),
    csv("a short row", TABLE + "1e7,3.2\n", "runs.csv, line 11: has 2 cells and the header 3"),
    csv("three rows", "\n".join(TABLE.splitlines()[:4]), "runs.csv: has 3 rows", "bring more rows"),
    csv("one size", "N,D,loss\n" + "".join(f"1e7,{d}e8,{4 - d / 9}\n" for d in range(1, 8)),
        "runs.csv, column N: has one value only"),
    csv("not UTF-8", TABLE.encode() + b"\xff\xfe", "runs.csv: is not UTF-8", "save it as UTF-8"),
    csv("which corpus", "N,D,loss_fr,loss_en\n1,2,3,4\n",
        "runs.csv: has losses on fr, en: choose one, as --corpus fr"),
    csv("unknown arm of a table", TABLE, "runs.csv: has no arm 'cpt'", options=("--arm", "cpt")),
    csv("unknown by", TABLE, "runs.csv: has no column group (--by)", options=("--by", "group")),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_one_clear_line(case: Case, tmp_path: Path) -> None:
    manifest = copy.deepcopy(whole())
    if case.edit:
        case.edit(manifest)
    (tmp_path / "sweep.yaml").write_text(
        yaml.safe_dump(manifest) if case.manifest is None else case.manifest
    )
    if case.table is not None:
        data = case.table.encode() if isinstance(case.table, str) else case.table
        (tmp_path / "runs.csv").write_bytes(data)
    done = command.run(*case.arguments, cwd=tmp_path)
    refused(done, *case.says)
    assert done.stdout == ""


TEXT = {
    "missing": ("spec.corpora[1].uri: ", "text/fr", "correct the address"),
    "empty": ("spec.corpora[1].uri: text/fr is empty", "check `format`"),
    "too small": ("spec.corpora[1]: ", "tokens of fr", "bring more text"),
    "not UTF-8": ("text/fr/7.txt: line 2, byte ", "is not UTF-8", "iconv -t UTF-8"),
}
"""What is wrong with the French corpus, and what `run` says of it."""


@pytest.mark.parametrize("wrong", TEXT)
def test_one_clear_line_about_a_corpus(wrong: str, tmp_path: Path) -> None:
    manifest = whole()
    manifest["spec"]["fit"] = {"identifiability": "Warn"}
    manifest["spec"]["arms"] = [{"name": "scratch", "corpus": "fr"}]
    manifest["spec"]["tokenizer"]["train"]["vocabSize"] = 300
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(manifest))
    for name in ("en", "fr") if wrong != "missing" else ("en",):
        folder = tmp_path / "text" / name
        folder.mkdir(parents=True)
        for page in range(300) if (name, wrong) != ("fr", "empty") else ():
            (folder / f"{page}.txt").write_text(f"{name} {page}\n" + "plus ou moins de mots " * 4)
    if wrong == "not UTF-8":
        (tmp_path / "text" / "fr" / "7.txt").write_bytes(b"un\ncaf\xe9\n")
    refused(command.run("run", "sweep.yaml", cwd=tmp_path), *TEXT[wrong])


SIGNED = "spec.storage.s3.endpoint: the clocks of this machine and of "
STORAGE: dict[str, tuple[Callable[[S3], AbstractContextManager[str]], tuple[str, ...]]] = {
    "clock ahead": (
        lambda s3: resign.with_a_clock_that_is(s3, 2),
        (SIGNED, "differ by more than it takes: set them right"),
    ),
    "clock behind": (
        lambda s3: resign.with_a_clock_that_is(s3, -2),
        (SIGNED, "differ by more than it takes: set them right"),
    ),
    "no If-None-Match": (
        resign.without_conditions,
        ("spec.storage.s3.endpoint: ", "ignores If-None-Match", "use an S3 server that honours it"),
    ),
}
"""The storage that a manifest names, and what `run` says of it before it has read any text."""


@pytest.mark.parametrize("wrong", STORAGE)
def test_one_clear_line_about_a_storage(wrong: str, tmp_path: Path, s3: S3) -> None:
    serve, says = STORAGE[wrong]
    manifest = whole()
    prefix = wrong.replace(" ", "-")
    with serve(s3) as endpoint:
        location = s3.access.location(prefix).to_wire()
        manifest["spec"]["storage"] = {"s3": {**location, "endpoint": endpoint}}
        manifest["spec"]["fit"] = {"identifiability": "Warn"}
        (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(manifest))
        done = command.run("run", "sweep.yaml", cwd=tmp_path, environment=s3.access.keys())
    refused(done, *says)
    assert list(s3.store(prefix).list()) == [], "nothing was written"


GIVEN = {
    "another shape": (
        "spec.arms[0].init.uri: given config.json: has hidden_size 16, the trial's model 8",
        "give a checkpoint of this shape",
    ),
    "another tokenizer": (
        "spec.arms[0].init.uri: given: has another tokenizer than this study",
        "write `tokenizer: {uri: …}` with the checkpoint's tokenizer.json",
    ),
}
"""What is wrong with the checkpoint that an arm starts from, and what `run` says of it."""


@pytest.mark.parametrize("wrong", GIVEN)
def test_one_clear_line_about_a_given_checkpoint(wrong: str, tmp_path: Path) -> None:
    manifest = whole()
    spec = manifest["spec"]
    shape = {"hiddenSize": 8, "intermediateSize": 32, "layers": 1, "heads": 2}
    spec |= {
        "model": {"contextLength": 16, "sizes": [{"name": "xs", **shape}]},
        "arms": [{"name": "cpt", "corpus": "fr", "init": {"uri": "given"}}],
        "fit": {"identifiability": "Warn"},
    }
    spec["tokenizer"]["train"]["vocabSize"] = 300
    for name in ("en", "fr"):
        corpora.write_pages(tmp_path / "text" / name, name, 300)
    checkpoints.write(
        tmp_path / "given",
        **({"hidden_size": 16} if wrong == "another shape" else {}),
        tokenizer={"model": {"vocab": {"a": 0, "b": 1}}} if wrong == "another tokenizer" else None,
    )
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(manifest))
    refused(command.run("run", "sweep.yaml", cwd=tmp_path), *GIVEN[wrong])


ELSEWHERE = {
    "tokenizer that does not match the checkpoint, amid a study": (
        ("trainer/test_trial_run.py", "test_a_tokenizer_beside_given_weights_must_be_the_studys"),
        ("trainer/test_trial_run.py", "test_a_source_of_another_tokenizer_is_refused"),
    ),
    "checkpoint of another shape, amid a study": (
        ("trainer/test_trial_run.py", "test_a_hugging_face_checkpoint_is_taken_over"),
        ("trainer/test_trial_run.py", "test_a_source_that_is_not_what_was_recorded_is_refused"),
    ),
    "truncated shard": (
        ("trainer/test_data_shards.py", "test_a_truncated_shard_is_refused"),
        ("trainer/test_data_shards.py", "test_a_damaged_shard_is_refused"),
    ),
    "shard of another tokenizer": (
        ("trainer/test_data_batches.py", "test_a_corpus_that_does_not_fit_the_trial_is_refused"),
        ("trainer/test_trial_run.py", "test_a_validation_split_of_another_tokenizer_is_refused"),
        ("trainer/test_trial_run.py", "test_a_token_beyond_the_vocabulary_is_bad_data"),
    ),
    "port taken": (
        ("cli/test_edited_studies.py", "test_ports_that_are_taken_are_passed_over"),
        ("cli/test_s3server.py", "test_a_taken_port_is_replaced"),
        ("trainer/test_trial_run.py", "test_a_port_that_is_taken_is_only_said"),
    ),
    "credentials wrong": (
        ("cli/test_edited_studies.py", "test_storage_that_is_not_what_it_should_be"),
        ("core/test_store.py", "test_no_credentials"),
    ),
    "clock skew, amid a study": (
        ("core/test_store_faults.py", "test_clocks_that_differ_are_to_be_set"),
    ),
    "a refused edit under a running sweep": (
        ("cli/test_edited_studies.py", "test_an_edit_under_a_running_sweep_waits_for_it"),
        ("cluster/test_edits.py", "test_an_edit_is_refused_by_both_back_ends_or_by_none"),
    ),
    "edits that are allowed": (
        ("cli/test_edited_studies.py", "test_edits_between_runs"),
        ("e2e/test_study.py", "test_a_new_budget_and_a_new_size_leave_the_old_rows_as_they_are"),
    ),
    "two runners on one manifest": (
        ("cli/test_local_session.py", "test_ctrl_c_saves_and_the_same_command_goes_on"),
        ("chaos/test_storage.py", "test_two_runners_on_one_manifest"),
    ),
    "fewer sequences than ranks": (("trainer/test_ranks.py", "test_more_ranks_than_sequences"),),
    "hostile or oversized outcomes": (
        ("cli/test_local_ending.py", "test_a_bad_outcome_is_an_infrastructure_failure"),
        ("cli/test_local_ending.py", "test_links_pipes_and_folders_are_not_read"),
        ("cli/test_local_runner.py", "test_what_outcomes_claim_is_not_believed"),
        ("operator/test_ending.py", "test_a_hostile_message_is_a_failure_that_may_pass"),
    ),
    "secrets": (
        ("cli/test_secrets.py", "test_a_whole_study_tells_nobody"),
        ("cli/test_secrets.py", "test_keys_that_are_refused_are_not_told"),
    ),
    "disk full": (
        ("cli/test_full_disk.py", "test_it_is_told_before_anything_starts"),
        ("trainer/test_full_disk.py", "test_a_checkpoint_without_room"),
        ("chaos/test_storage.py", "test_a_disk_that_fills_ends_it_clearly_and_loses_nothing"),
    ),
    "bucket gone": (("chaos/test_storage.py", "test_a_bucket_that_is_deleted_is_named"),),
}
"""What goes wrong amid the work, and the tests of it: file and name."""


@pytest.mark.parametrize("wrong", ELSEWHERE)
def test_the_rest_of_the_table_is_elsewhere(wrong: str) -> None:
    for file, name in ELSEWHERE[wrong]:
        assert f"\ndef {name}(" in (Path(__file__).parents[1] / file).read_text("utf-8")


def refused(done: Any, *says: str) -> None:
    """Status 2, and one printable line on stderr that says all this."""
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.endswith("\n")
    line = done.stderr.removesuffix("\n")
    assert line.isprintable(), repr(line)
    for words in says:
        assert words in line


def test_the_good_manifest_and_the_good_table_are_good(tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text(GOOD)
    (tmp_path / "runs.csv").write_text(TABLE)
    assert command.run("plan", "sweep.yaml", cwd=tmp_path).returncode == 0
    assert command.run("fit", "runs.csv", "--bootstrap", "0", cwd=tmp_path).returncode == 0
