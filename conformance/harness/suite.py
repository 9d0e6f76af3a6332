"""All scenarios: what was recorded, the function that plays it, and what came of it."""

import dataclasses
import importlib.util
import json
import re
import traceback
from pathlib import Path

from harness import compare
from harness.placeholders import Bindings, Shapes
from harness.scenario import LeftOut, Scenario

FOLDER = Path(__file__).resolve().parent.parent
UNREACHED = "the scenario did not reach it"
TEST_ID = re.compile(r".*::(?P<name>\w+?)(?:\[(?P<param>.*)\])?$")


@dataclasses.dataclass
class Recording:
    """What the service answered in one scenario."""

    group: str
    name: str
    param: str | None
    steps: list

    @property
    def id(self):
        return f"{self.group}::{self.name}" + (f"[{self.param}]" if self.param is not None else "")


@dataclasses.dataclass
class Outcome:
    """What came of one scenario: for each step its differences."""

    recording: Recording
    strict: dict
    lenient: dict
    stopped: str | None
    answers: dict
    left_out: str | None = None

    @property
    def passes_strictly(self):
        return self.stopped is None and not any(self.strict.values())

    @property
    def passes_leniently(self):
        return self.stopped is None and not any(self.lenient.values())


def recordings():
    """All recorded scenarios that have answers, by area and group."""
    for file in sorted((FOLDER / "recorded").glob("*/*.json")):
        for test in json.loads(file.read_text())["tests"]:
            found = TEST_ID.match(test["id"])
            steps = [(entry["step"], entry["answer"]) for entry in test["responses"]]
            if steps:
                yield Recording(f"{file.parent.name}/{file.stem}", found["name"], found["param"], steps)


class Scenarios:
    """The functions that play recordings, each group's in a file of its own."""

    def __init__(self):
        self.modules = {}

    def of(self, recording):
        """The function for a recording; None if nobody wrote it yet."""
        if recording.group not in self.modules:
            self.modules[recording.group] = load(FOLDER / "scenarios" / f"{recording.group}.py")
        return getattr(self.modules[recording.group], recording.name, None)


def load(path):
    """A module by its path: groups have the recordings' names."""
    if not path.is_file():
        return None
    spec = importlib.util.spec_from_file_location(f"scenarios_{path.parent.name}_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def play(recording, function, url):
    """Runs one scenario and compares it."""
    if function is None:
        return Outcome(recording, {}, {}, "no scenario is written for it", {})
    if url is None:
        return Outcome(recording, {}, {}, None, {}, "no server whose updates take a while")
    scenario, stopped, left_out = Scenario(url), None, None
    try:
        function(scenario) if recording.param is None else function(scenario, recording.param)
    except LeftOut as lack:
        left_out = str(lack)
    except Exception as error:
        stopped = where(error, function)
    finally:
        scenario.clean()
    return dataclasses.replace(judge(recording, scenario, stopped), left_out=left_out)


def where(error, function):
    """What ended a scenario, and the scenario's own lines on the way there."""
    file = function.__code__.co_filename
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    lines = [f"line {frame.lineno}: {frame.line}" for frame in frames]
    return "\n".join([f"{type(error).__name__}: {error}", *lines])


def judge(recording, scenario, stopped):
    """Compares all steps; a placeholder stands for the same value in all of them."""
    bound, shapes = Bindings(scenario.given), Shapes(scenario.given)
    strict, lenient = {}, {}
    for step, recorded in recording.steps:
        if step in scenario.steps:
            strict[step] = compare.strict(recorded, scenario.steps[step], bound)
            lenient[step] = compare.lenient(recorded, scenario.steps[step], shapes)
        else:
            strict[step] = lenient[step] = [UNREACHED]
    known = {step for step, _ in recording.steps}
    for step in scenario.steps:
        if step not in known:
            strict[step] = lenient[step] = ["nothing of that name was recorded"]
    return Outcome(recording, strict, lenient, stopped, scenario.steps)
