"""Java functions, compiled against the interfaces that Lambda's environment has."""

import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

from harness.scenario import LeftOut

RUNTIME = Path(__file__).resolve().parent.parent.parent / "crates/runtimes/src/bootstrap/java.jar"


@functools.cache
def classes(name, source):
    """{path: bytes} of what the source of the class `name` (pkg.Class) is compiled to."""
    if shutil.which("javac") is None:
        raise LeftOut("there is no javac")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, name.rpartition(".")[2] + ".java")
        file.write_text(source)
        words = ["javac", "--release", "8", "-Xlint:-options", "-cp", RUNTIME, "-d", folder, file]
        subprocess.run(words, check=True, capture_output=True)
        return {str(path.relative_to(folder)): path.read_bytes() for path in Path(folder).rglob("*.class")}
