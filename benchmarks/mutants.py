"""Mutation run: do the tests notice when one operator, number or condition of the code is changed?

Cosmic Ray (https://cosmic-ray.readthedocs.io) makes the mutants; this module chooses them, runs the tests that are
written for each, and compares those that survive with ``benchmarks/survivors.toml``, which has a reason for each. The
exit code is 1 if fewer than TARGET are caught, or if a survivor is not listed.

It needs an interpreter that has ``benchmarks/mutation-requirements.txt`` beside the packages of development; see
docs/benchmarks.md. The sample depends on the code alone: a mutant is chosen by the hash of what it changes, so an edit
elsewhere does not exchange the others.
"""

import argparse
import hashlib
import multiprocessing
import multiprocessing.queues
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final

from local.places import ROOT

TARGET: Final = 0.85
SAMPLE: Final = 240
MINUTES: Final = 40.0
# Processor seconds of all tests of a part, and how many times what they took a mutant may take: it may loop for ever.
BASELINE_PROCESSOR_S: Final = 600
PROCESSOR_TIMES: Final = 2.0
MIN_PROCESSOR_S: Final = 10
# a run may wait for other processes for so many times its processor seconds
WAITING_TIMES: Final = 15
INTEGRATION: Final = "tests/integration"
# tests that compute for seconds (pytest's -k): they run after all others, and only if those passed
SLOW: Final = "test_memory_does_not_grow"
OWN_PACKAGES: Final = frozenset({"benchmarks", "delivery", "functions", "jobs", "local", "shared", "tests"})
# of pytest, about the plugins that the forks share
IMPORTED_BEFORE: Final = "ignore::pytest.PytestAssertRewriteWarning"
SURVIVORS: Final = Path(__file__).with_name("survivors.toml")
# a union of types fails on import whatever it is changed to, and no code of these packages computes with bits
EXCLUDED_OPERATORS: Final = ("core/ReplaceBinaryOperator_BitOr_*", "core/ReplaceBinaryOperator_*_BitOr")
NOT_COPIED: Final = shutil.ignore_patterns(
    ".git", ".venv", ".aisle", "__pycache__", "build", "node_modules", ".*_cache"
)

# Tests of modules that have none of their own name, and of kernels, which are tested with what calls them.
TESTS_ELSEWHERE: Final = {
    "shared/http/idempotency.py": ("tests/unit/http/test_idempotency.py",),
    "jobs/models/als_kernel.py": ("tests/unit/models/test_als.py", "tests/unit/models/test_pairs.py"),
    "jobs/models/pair_kernels.py": ("tests/unit/models/test_pairs.py",),
    "jobs/models/transition_kernel.py": ("tests/unit/models/test_transitions.py",),
    "jobs/offline/kernels.py": ("tests/unit/offline/test_recommender.py",),
}


@dataclass(frozen=True)
class Group:
    """Modules, the folder of tests that mirrors them, and the tests that run against what survives those."""

    modules: tuple[str, ...]
    folder: str
    further: tuple[str, ...]
    has_slow: bool = False

    def steps(self, module: str) -> list[tuple[str, ...]]:
        """Return the arguments of the runs of pytest that a mutant must pass to survive, the quickest first."""
        quick = ("-k", f"not {SLOW}") if self.has_slow else ()
        # a module without tests of its own name has those of the folder, which may be all there are
        steps = dict.fromkeys([(*self.first_tests(module), *quick), (*self.further, *quick)])
        return [*steps, *([(*self.further, "-k", SLOW)] if self.has_slow else [])]

    def first_tests(self, module: str) -> tuple[str, ...]:
        """Return the tests that mirror a module; the folder's if there are none."""
        mirror = f"{self.folder}/test_{Path(module).stem}.py"
        return TESTS_ELSEWHERE.get(module) or ((mirror,) if (ROOT / mirror).is_file() else (self.folder,))


GROUPS: Final = {
    "domain": Group(("shared/domain/*.py",), "tests/unit/domain", ("tests/unit/domain", "tests/unit/shared")),
    "models": Group(("jobs/models/*.py",), "tests/unit/models", ("tests/unit/models",), has_slow=True),
    "offline": Group(("jobs/offline/*.py",), "tests/unit/offline", ("tests/unit/offline",)),
    "auth": Group(
        ("shared/auth.py", "shared/http/credentials.py", "shared/tokens.py", "shared/api_keys.py"),
        "tests/unit/shared",
        (
            "tests/unit/shared",
            "tests/integration/test_authorisation_matrix.py",
            "tests/integration/test_api_keys.py",
            "tests/integration/accounts/test_sessions.py",
        ),
    ),
    "idempotency": Group(
        ("shared/http/idempotency.py", "shared/storage/operations/idempotency.py"),
        "tests/unit/http",
        (
            "tests/unit/http",
            "tests/integration/http/test_repeated_requests.py",
            "tests/integration/products/test_idempotency.py",
            "tests/integration/cart/test_key_lifetime.py",
        ),
    ),
}


@dataclass(frozen=True)
class Mutant:
    """A change of one place. ``place`` is a line, without its indentation."""

    group: str
    module: str
    operator: str
    occurrence: int
    definition: str
    place: str

    @property
    def order(self) -> str:
        """The hash by which samples are chosen. It leaves out line numbers, which edits elsewhere change."""
        text = "\0".join((self.module, self.definition, self.operator, self.place, str(self.occurrence % 2)))
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Survivor:
    """A mutant that no test noticed: the line as it is, and as it was changed."""

    module: str
    line: str
    mutated: str


def mutants(groups: Iterable[str]) -> list[Mutant]:
    """Return all mutants of the groups: of the changes that one operator can become, one for each place."""
    from cosmic_ray.ast import ast_nodes, get_ast_from_path
    from cosmic_ray.ast.ast_query import ASTQuery
    from cosmic_ray.plugins import get_operator, operator_names

    names = [name for name in operator_names() if not any(fnmatch(name, left) for left in EXCLUDED_OPERATORS)]
    operators = [(name, get_operator(name)()) for name in sorted(names) if not get_operator(name).arguments()]
    found: dict[tuple[str, str, tuple[int, int]], list[Mutant]] = {}
    for group in groups:
        for module in sorted(
            path.relative_to(ROOT).as_posix() for pattern in GROUPS[group].modules for path in ROOT.glob(pattern)
        ):
            tree = get_ast_from_path(ROOT / module)
            lines = (ROOT / module).read_text().splitlines()
            for name, operator in operators:
                positions = ((node, at) for node in ast_nodes(tree) for at, _end in operator.mutation_positions(node))
                for occurrence, (node, at) in enumerate(positions):
                    definition = ASTQuery(node).get_definition_name() or ""
                    mutant = Mutant(group, module, name, occurrence, definition, lines[at[0] - 1].strip())
                    # ReplaceComparisonOperator_Lt_Gt and …_Lt_LtE change the same place
                    family = "_".join(name.split("_")[:2])
                    found.setdefault((module, family, at), []).append(mutant)
    return [min(same_place, key=lambda mutant: mutant.order) for same_place in found.values()]


class Tree:
    """A copy of the source tree, in which one mutant at a time is tried."""

    def __init__(self, folder: Path) -> None:
        shutil.copytree(ROOT, folder, ignore=NOT_COPIED)
        self.folder = folder
        # the processor seconds of the last run
        self.spent_s = 0.0

    def passes(self, tests: Sequence[str], processor_s: int) -> bool:
        """Return whether the tests pass in this tree. Tests that use more than ``processor_s`` count as failed.

        Unit tests run in a fork of this process, which has imported pytest and its plugins: that is most of the time of
        a short test. Integration tests start threads of gRPC, which do not survive a fork.
        """
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        if any(test.startswith(INTEGRATION) for test in tests):
            has_passed = self._run(tests, processor_s)
        else:
            child = os.fork()
            if child == 0:
                os._exit(self._test(tests, processor_s))
            has_passed = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.spent_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return has_passed

    def _run(self, tests: Sequence[str], processor_s: int) -> bool:
        environment = dict(os.environ) | {"PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"}
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            return process.wait(WAITING_TIMES * processor_s) == 0
        except subprocess.TimeoutExpired:
            return False
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def _test(self, tests: Sequence[str], processor_s: int) -> int:
        import pytest

        # a mutant may loop for ever, or wait for ever
        resource.setrlimit(resource.RLIMIT_CPU, (processor_s, processor_s))
        signal.alarm(WAITING_TIMES * processor_s)
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        os.chdir(self.folder)
        for name in [name for name in sys.modules if name.partition(".")[0] in OWN_PACKAGES]:
            del sys.modules[name]
        sys.path[:] = [str(self.folder), *(path for path in sys.path if path not in ("", str(ROOT)))]
        os.environ["PYTHONPATH"] = str(self.folder)
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        sys.dont_write_bytecode = True
        return int(pytest.main(["-q", "-x", "-p", "no:cacheprovider", "-W", IMPORTED_BEFORE, *tests]))

    def survivor(self, mutant: Mutant, processor_s: int) -> Survivor | None:
        """Return the mutant as a survivor if neither its first nor its further tests fail; otherwise None."""
        from cosmic_ray.mutating import use_mutation
        from cosmic_ray.plugins import get_operator

        group = GROUPS[mutant.group]
        path = self.folder / mutant.module
        with use_mutation(path, get_operator(mutant.operator)(), mutant.occurrence) as (before, after):
            if not all(self.passes(step, processor_s) for step in group.steps(mutant.module)):
                return None
        return difference(mutant.module, before, after)


def difference(module: str, before: str, after: str) -> Survivor:
    """Return the first line in which two texts of a module differ."""
    old, new = before.splitlines(), after.splitlines()
    for line, mutated in zip(old, new, strict=False):
        if line != mutated:
            return Survivor(module, line.strip(), mutated.strip())
    longer = old if len(old) > len(new) else new
    return Survivor(module, longer[min(len(old), len(new))].strip(), "")


def preload() -> None:
    """Import what the forks share: pytest, its plugins and large libraries, nothing of this project."""
    for plugin in entry_points(group="pytest11"):
        plugin.load()
    for name in ("hypothesis", "numba", "numpy", "orjson", "pydantic", "scipy.sparse"):
        import_module(name)


def run(chosen: Sequence[Mutant], workers: int, until: float) -> tuple[dict[Mutant, Survivor | None], list[str]]:
    """Try the mutants in ``workers`` processes until ``until`` (of time.monotonic).

    Returns the result of each that was tried, and errors. Nothing is tried if the tests fail without a mutant.
    """
    preload()
    context = multiprocessing.get_context("fork")
    results: dict[Mutant, Survivor | None] = {}
    errors: list[str] = []
    with tempfile.TemporaryDirectory(prefix="aisle-mutants-") as scratch:
        os.chmod(scratch, 0o711)
        trees = [Tree(Path(scratch) / str(number)) for number in range(workers)]
        limits: dict[str, int] = {}
        for group in sorted({mutant.group for mutant in chosen}):
            if not trees[0].passes(GROUPS[group].further, BASELINE_PROCESSOR_S):
                return {}, [f"the tests of {group} fail without a mutant: {' '.join(GROUPS[group].further)}"]
            limits[group] = round(max(MIN_PROCESSOR_S, PROCESSOR_TIMES * trees[0].spent_s))
        finished: multiprocessing.queues.SimpleQueue[Any] = context.SimpleQueue()
        processes = [
            context.Process(target=work, args=(tree, chosen[number::workers], limits, until, finished))
            for number, tree in enumerate(trees)
        ]
        for process in processes:
            process.start()
        running = workers
        while running:
            mutant, result = finished.get()
            if mutant is None:
                running -= 1
                errors += [result] * bool(result)
                continue
            results[mutant] = result
            mark = "caught" if result is None else "SURVIVED"
            say(f"{len(results)} of {len(chosen)}: {mark} {mutant.module}: {mutant.place} ({mutant.operator})")
        for process in processes:
            process.join()
    return results, errors


def work(tree: Tree, mutants: Sequence[Mutant], limits: Mapping[str, int], until: float, finished: Any) -> None:
    """Try mutants, put each with its result into ``finished``, and at the end None with an error or with ""."""
    error = ""
    try:
        for mutant in mutants:
            if time.monotonic() > until:
                break
            finished.put((mutant, tree.survivor(mutant, limits[mutant.group])))
    except Exception as failure:  # noqa: BLE001 — reported by the process that waits
        error = repr(failure)
    finished.put((None, error))


def listed() -> dict[Survivor, str]:
    """Return the known survivors with their reasons.

    Raises ValueError for an entry without a reason, or with a line that is gone.
    """
    entries: list[dict[str, Any]] = tomllib.loads(SURVIVORS.read_text()).get("survivor", [])
    known: dict[Survivor, str] = {}
    for entry in entries:
        survivor = Survivor(str(entry["module"]), str(entry["line"]), str(entry["mutated"]))
        if not str(entry.get("reason", "")).strip():
            raise ValueError(f"{SURVIVORS.name}: {survivor} has no reason.")
        path = ROOT / survivor.module
        if not path.is_file() or survivor.line not in [line.strip() for line in path.read_text().splitlines()]:
            raise ValueError(f"{SURVIVORS.name}: {survivor.module} has no line {survivor.line!r} any more; remove it.")
        known[survivor] = str(entry["reason"])
    return known


def say(line: str) -> None:
    """Print a line of progress."""
    print(line, file=sys.stderr, flush=True)


def report(results: dict[Mutant, Survivor | None], total: int, known: dict[Survivor, str]) -> tuple[list[str], bool]:
    """Return the lines of the report, and whether enough mutants were caught and each survivor has its reason."""
    lines = ["| part | mutants tried | caught | |", "|---|---|---|---|"]
    tried = Counter(mutant.group for mutant in results)
    caught = Counter(mutant.group for mutant, survivor in results.items() if survivor is None)
    lines += [f"| {name} | {n} | {caught[name]} | {caught[name] / n:.0%} |" for name, n in sorted(tried.items())]
    share = caught.total() / max(tried.total(), 1)
    lines.append(f"| all | {tried.total()} of {total:,} | {caught.total()} | {share:.0%} |")
    survivors = {survivor for survivor in results.values() if survivor is not None}
    for survivor in sorted(survivors, key=lambda survivor: (survivor.module, survivor.line)):
        reason = known.get(survivor, f"NOT LISTED in {SURVIVORS.name}: write a test, or a reason")
        lines.append(f"survived: {survivor.module}\n  - {survivor.line}\n  + {survivor.mutated}\n  {reason}")
    good = bool(results) and share >= TARGET and survivors <= known.keys()
    lines.append(f"target: {TARGET:.0%} caught, each survivor listed: {'reached' if good else 'MISSED'}")
    return lines, good


def main() -> int:
    """Run the mutation run. Exit code 1 if its target was missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mutants", description=__doc__.split("\n")[0])
    parser.add_argument("groups", nargs="*", metavar="PART", help=f"{', '.join(GROUPS)}; by default all")
    parser.add_argument("--sample", type=int, default=SAMPLE, help="number of mutants (default: %(default)s)")
    parser.add_argument("--all", action="store_true", help="all mutants, without a time bound")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="time bound (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=max(1, os.cpu_count() or 1))
    options = parser.parse_args()
    if unknown := set(options.groups) - set(GROUPS):
        parser.error(f"unknown part {', '.join(sorted(unknown))}; the parts are {', '.join(GROUPS)}")
    try:
        known = listed()
    except ValueError as error:
        parser.error(str(error))
    everything = sorted(mutants(options.groups or GROUPS), key=lambda mutant: mutant.order)
    chosen = everything if options.all else everything[: options.sample]
    until = float("inf") if options.all else time.monotonic() + options.minutes * 60
    results, errors = run(chosen, options.workers, until)
    lines, good = report(results, len(everything), known)
    print("\n".join(lines + [f"error: {error}" for error in errors]))
    return 0 if good and not errors else 1


if __name__ == "__main__":
    sys.exit(main())
