"""Why a target is not up to date: what is missing or stale, and because of what, in sentences.

Snakemake tells of each job why it would run, and keeps of each output the command and the parameters that it was made
by. The two commands say which option changed. What no command shows is told by what it is: the state of a folder that
no rule makes (`serflow.state`), the fingerprint of the code (`serflow.fingerprint`), the digests of published numbers.
"""

import ast
import json
import re
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from serflow.planning.commands import Command, read_command
from serflow.planning.dry_run import Plan, Planned
from serflow.planning.finished import Finished, read_finished
from serflow.planning.work import is_training

_PARTS = (
    "Forced execution", "Missing output files: ", "Incomplete output files: ", "Updated input files: ",
    "Input files updated by another job: ", "Set of input files has changed since last execution",
    "Code has changed since last execution", "Params have changed since last execution: ",
    "Software environment definition has changed since last execution",
)  # fmt: skip
_PART = re.compile(f"(?:^|; )({'|'.join(map(re.escape, _PARTS))})")
_BEFORE_AND_NOW = re.compile(r"before: (?P<before>.*) now: (?P<now>.*)", re.DOTALL)
_DIGEST = re.compile(r"[0-9a-f]{16}")
# what lies there counts, and not where
_UNRECORDED = ("root",)
_STATE_WORDS = ("synthetic", "absent")
_SINCE = ": since it was read last, "
_NEVER_RUN = "never run"
_FOLLOWS = "follows"
_SHOWN = 3
_LONGEST = 100


def reasons(plan: Plan, folder: Path, target: str) -> list[str]:
    """Return why a target is not up to date, a sentence for each kind of jobs and cause.

    Parameters
    ----------
    plan
        A dry run.
    folder
        Working folder, with Snakemake's records.
    target
        What was asked for.
    """
    if not plan.jobs:
        return [f"nothing: {target} is up to date"]
    made = {output: job for job in read_finished(folder) for output in job.outputs}
    # a rule that only names a target has nothing to run
    groups: dict[tuple[str, tuple[str, ...]], list[Planned]] = {}
    for job in plan.jobs:
        if job.shell:
            groups.setdefault((_noun(job), tuple(_causes(job, made, plan.said))), []).append(job)
    # Snakemake tells of jobs in no order
    largest = sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))
    direct = [
        f"{_count(noun, jobs)}: {'; '.join(causes)}"
        for (noun, causes), jobs in largest
        if causes not in ((_NEVER_RUN,), (_FOLLOWS,))
    ]
    for cause, words in ((_NEVER_RUN, "Never run"), (_FOLLOWS, "Made anew because what they are made from is")):
        listed = [(noun, jobs) for (noun, causes), jobs in largest if causes == (cause,)]
        direct += [f"{words}: {_list(listed)}"] if listed else []
    return direct


def _noun(job: Planned) -> str:
    """Return what a job is: ``training of dlc``, or its rule."""
    command = job.command
    return f"training of {command.word('study')}" if command is not None and is_training(command.stage) else job.rule


def _counted(noun: str, n: int) -> str:
    return f"{n} {noun.replace('training', 'trainings', 1) if n > 1 else noun}"


def _count(noun: str, jobs: Sequence[Planned]) -> str:
    names = [" ".join(job.command.placed()[1:]) for job in jobs if job.command is not None]
    shown = f" ({', '.join(names)})" if len(names) == len(jobs) < _SHOWN and all(names) else ""
    return _counted(noun, len(jobs)) + shown


def _list(named: Sequence[tuple[str, Sequence[Planned]]]) -> str:
    counts = Counter[str]()
    for noun, jobs in named:
        counts[noun] += len(jobs)
    return ", ".join(_counted(noun, n) for noun, n in counts.most_common())


def _parts(reason: str) -> dict[str, str]:
    """Return what Snakemake says of a job, by the beginnings of its parts."""
    words = _PART.split(reason)[1:]
    return dict(zip(words[::2], words[1::2], strict=True))


def _some(files: str | Sequence[str]) -> str:
    named = files.split(", ") if isinstance(files, str) else files
    more = len(named) - _SHOWN
    return ", ".join(named[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _causes(job: Planned, made: Mapping[str, Finished], said: Sequence[str]) -> Iterator[str]:
    """Yield why a job would run, but for what follows from other jobs where it has a cause of its own."""
    parts = _parts(job.reason)
    before = next((made[output] for output in job.outputs if output in made), None)
    found = list(_own_causes(job, parts, before, said))
    if found:
        yield from found
    elif "Input files updated by another job: " in parts:
        yield _FOLLOWS
    else:
        yield f"Snakemake says: {job.reason}"


def _own_causes(job: Planned, parts: Mapping[str, str], before: Finished | None, said: Sequence[str]) -> Iterator[str]:
    if "Forced execution" in parts:
        yield "was asked for by force"
    missing = parts.get("Missing output files: ")
    if missing is not None:
        yield _NEVER_RUN if before is None else f"made once, and gone: {_some(missing)}"
    incomplete = parts.get("Incomplete output files: ")
    if incomplete is not None:
        yield "stopped while writing"
    if before is None:
        return
    updated = parts.get("Updated input files: ")
    if updated:
        yield f"input changed: {_some(updated)}"
    if "Set of input files has changed since last execution" in parts:
        yield _other_inputs(before.inputs, job.inputs)
    if "Code has changed since last execution" in parts:
        yield "the rule calls another command"
    if "Software environment definition has changed since last execution" in parts:
        yield "the conda environment changed"
    # Snakemake looks no further at a job that follows from others
    changed = _changed(job, before)
    reason = parts.get("Params have changed since last execution: ")
    if reason is not None:
        changed = [*changed, *_unshown(job, before, reason, said)] or ["its parameters changed"]
    yield from changed


def _other_inputs(before: Sequence[str], now: Sequence[str]) -> str:
    came, went = sorted({*now} - {*before}), sorted({*before} - {*now})
    said = [f"now reads {_some(came)}"] if came else []
    said += [f"no longer reads {_some(went)}"] if went else []
    return " and ".join(said) or "reads its inputs in another order"


def _changed(job: Planned, before: Finished) -> list[str]:
    """Say which options of the command changed."""
    command, old = job.command, read_command(before.command)
    if command is None or old is None:
        return []
    found = []
    for name in dict.fromkeys([*old.options, *command.options]):
        was, now = old.options.get(name), command.options.get(name)
        if was != now and name not in _UNRECORDED and not _names_files(was, now, job):
            found += ["its code changed"] if name == "code" else _differences(name, was, now)
    return found


def _names_files(was: Sequence[str] | None, now: Sequence[str] | None, job: Planned) -> bool:
    """Tell whether an option names inputs and outputs, which Snakemake does not count among the parameters."""
    files = {*job.inputs, *job.outputs}
    return any(word.rpartition("=")[2] in files for word in now or was or ())


def _differences(name: str, was: Sequence[str] | None, now: Sequence[str] | None) -> list[str]:
    if was and now and len(was) == len(now) == 1 and was[0][:1] in "{[" and now[0][:1] in "{[":
        try:
            # what a study is trained with is what people call its options
            place = () if name == "options" else (name,)
            return list(_of_json(json.loads(was[0]), json.loads(now[0]), place))
        except ValueError:
            pass
    if not was or not now:
        return [f"option {name} was {_words(was)}, is {_words(now)}"]
    return [f"option {name} was {' '.join(was)}, is {' '.join(now)}"]


def _words(words: Sequence[str] | None) -> str:
    return "not given" if words is None else " ".join(words) or "given"


def _of_json(was: Any, now: Any, place: tuple[str, ...]) -> Iterator[str]:
    if isinstance(was, dict) and isinstance(now, dict):
        for key in dict.fromkeys([*was, *now]):
            if was.get(key) != now.get(key) or (key in was) != (key in now):
                if key in was and key in now:
                    yield from _of_json(was[key], now[key], (*place, key))
                else:
                    name = ".".join((*place, key))
                    yield f"option {name} {'is gone' if key in was else f'is new: {json.dumps(now[key])}'}"
    else:
        if isinstance(was, list) and isinstance(now, list):
            # of long lists what only one of them has
            was, now = [[entry for entry in one if entry not in other] for one, other in ((was, now), (now, was))]
        yield f"option {'.'.join(place)} was {_short(was)}, is {_short(now)}"


def _short(value: Any) -> str:
    return textwrap.shorten(json.dumps(value), _LONGEST, placeholder=" ...")


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _unshown(job: Planned, before: Finished, reason: str, said: Sequence[str]) -> Iterator[str]:
    """Yield what changed of the parameters that the command does not show."""
    told, command = _BEFORE_AND_NOW.search(reason), job.command
    if told is None or command is None:
        return
    gone = [
        value
        for param in before.params
        if param in told["before"] and not _shown(value := _literal(param), before.command)
    ]
    new = [text for text in re.findall(r"'([^']*)'", told["now"]) if not _shown(text, job.shell)]
    words = [value for value in [*gone, *new] if isinstance(value, str)]
    changes = [line for line in said if _SINCE in line and _is_read_by(line.partition(_SINCE)[0], command)]
    yield from changes
    other_root = any(word in _STATE_WORDS for word in words)
    if other_root and not changes:
        yield "another folder, or a stand-in, in the place of what it read"
    digests = [word for word in gone if isinstance(word, str) and _DIGEST.fullmatch(word)]
    if any(isinstance(value, list) for value in gone):
        yield "the published numbers, or the templates of a page, changed"
    # one digest is the state's
    of_state = 1 if changes and not any(word in _STATE_WORDS for word in gone) else 0
    if len(digests) > of_state and not command.options.get("code"):
        yield "its code changed"


def _shown(value: Any, command: str) -> bool:
    """Tell whether a command shows a parameter: its words, or those of its entries."""
    entries = value if isinstance(value, list) else [value]
    return all(str(entry) in command for entry in entries)


def _is_read_by(key: str, command: Command) -> bool:
    """Tell whether a stage reads the folder of a configuration key, such as ``corpora.emodb.root``."""
    section, *names = key.split(".")
    if section == "corpora":
        return names[0] in command.placed()
    if section == "noise":
        return command.stage == "prepare_clips"
    return section == "backbones" and names[0] == command.word("backbone")
