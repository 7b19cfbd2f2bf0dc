"""The definitions that a function uses are found, and a change is seen where it was made."""

import importlib
import itertools

import pytest

from deblurlib import data, degrade, fingerprint, metrics, models, training
from deblurlib.losses import LOSSES

numbers = itertools.count()


@pytest.fixture
def definitions(tmp_path, monkeypatch):
    """``definitions(files)``: those that ``root`` of the module ``main`` uses, of a new package.

    The package's name is left out of theirs.
    """
    monkeypatch.syspath_prepend(tmp_path)

    def of(files, roots=("root",)):
        name = f"package_of_test_{next(numbers)}"
        for path, text in {"__init__.py": "", **files}.items():
            (tmp_path / name / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / path).write_text(text)
        importlib.invalidate_caches()
        main = importlib.import_module(f"{name}.main")
        found = fingerprint.of_definitions(*(getattr(main, root) for root in roots))
        assert all(key.startswith((f"{name}.", f"{name}:")) for key in found)
        return {key.removeprefix(name): value for key, value in found.items()}

    return of


def used(*names):
    return sorted([".main:root", *names])


A = "def f():\n    return 1\n\ndef g():\n    return 2\n"


@pytest.mark.parametrize(
    ("main", "files", "expected"),
    [
        ("from .a import f\ndef root(): return f()", {"a.py": A}, [".a:f"]),
        ("from .a import f as h\ndef root(): return h()", {"a.py": A}, [".a:f"]),
        ("from .a import f, g\ndef root(): return f()", {"a.py": A}, [".a:f"]),
        ("from . import a\ndef root(): return a.f()", {"a.py": A}, [".a:f"]),
        ("from . import a as b\ndef root(): return b.g()", {"a.py": A}, [".a:g"]),
        ("from .p import f\ndef root(): return f()", {"p/__init__.py": A}, [".p:f"]),
        (
            "from .p import f\ndef root(): return f()",
            {"p/__init__.py": "from .a import f, g", "p/a.py": A},
            [".p.a:f"],
        ),
        (
            "from . import p\ndef root(): return p.h()",
            {"p/__init__.py": "from .a import f as h", "p/a.py": A},
            [".p.a:f"],
        ),
        (
            "from .p import a\ndef root(): return a.f()",
            {"p/__init__.py": "", "p/a.py": "from ..b import f", "b.py": A},
            [".b:f"],
        ),
        (
            "from .p.q.c import f\ndef root(): return f()",
            {
                "p/__init__.py": "",
                "p/q/__init__.py": "from ...b import C",
                "p/q/c.py": "from . import C\nfrom ..d import D\ndef f(): return C + D",
                "p/d.py": "D = 1",
                "b.py": "C = 2",
            },
            [".b:C", ".p.d:D", ".p.q.c:f"],
        ),
        ("def root():\n    from .a import f\n    return f()", {"a.py": A}, [".a:f"]),
        ("from .a import f\nimport math\ndef root(): return math.pi", {"a.py": A}, []),
    ],
    ids=[
        "from-a-module",
        "as",
        "one-of-two",
        "module",
        "module-as",
        "from-a-package",
        "re-exported",
        "package-as",
        "imported-there",
        "nested",
        "inside-a-function",
        "not-used",
    ],
)
def test_what_is_imported_is_found(definitions, main, files, expected):
    assert list(definitions({"main.py": main, **files})) == used(*expected)


@pytest.mark.parametrize(
    ("main", "expected"),
    [
        ("C = 1\ndef root(): return C", ["C"]),
        ("C: int = 1\ndef root(): return C", ["C"]),
        ("C = D = 1\ndef root(): return D", ["C", "D"]),
        ("D = 2\nC = D + 1\nE = 3\ndef root(): return C", ["C", "D"]),
        ("C = 1\nC += 1\ndef root(): return C", ["C"]),
        ("def f(): return 1\ndef root(a=f()): return a", ["f"]),
        ("def f(a): return a\n@f\ndef root(): return 1", ["f"]),
        ("C = 1\ndef f(n): return lambda a: a\n@f(n=C)\ndef root(): return 1", ["C", "f"]),
        ("class A: pass\nclass root(A): pass", ["A"]),
        ("class A(type): pass\nclass root(metaclass=A): pass", ["A"]),
        ("def f(): pass\nclass root:\n    def m(self): return f()", ["f"]),
        ("C = 1\nclass root:\n    a = C", ["C"]),
        ("class A:\n    def m(self): return B()\nclass B: pass\ndef root(): A().m()", ["A", "B"]),
        ("def f(): return g()\ndef g(): return f()\ndef root(): return g()", ["f", "g"]),
        ("def f(): return 1\nT = {'a': f}\ndef root(): return T['a']()", ["T", "f"]),
        ("async def f(): pass\nasync def root(): await f()", ["f"]),
        ("def f(): pass\ndef root(): return [lambda: f() for _ in ()]", ["f"]),
        ("class A: pass\ndef root(a: A) -> None: pass", ["A"]),
        ("C = 1\ndef root(): return len([abs(2)])", []),
        ("def f(): pass\ndef root(a): return a.f()", []),
    ],
)
def test_what_its_module_defines_is_found(definitions, main, expected):
    assert list(definitions({"main.py": main})) == used(*(f".main:{name}" for name in expected))


def test_constants_that_are_assigned_together_are_found(definitions):
    main = "C, D = 1, 2\ndef root(): return D"
    assert list(definitions({"main.py": main})) == used(".main:C", ".main:D")


@pytest.mark.parametrize(
    ("a", "main"),
    [
        ("class A:\n    B = 1", "from .a import A\ndef root(): return A.B"),
        ("C = {}", "from .a import C\ndef root(): return C.get(1)"),
    ],
)
def test_an_attribute_of_something_imported_is_found_with_it(definitions, a, main):
    found = definitions({"main.py": main, "a.py": a})
    assert set(found) == {".main:root", ".a:A" if "A" in a else ".a:C"}


def test_what_lies_in_a_module_of_a_package_is_found(definitions):
    files = {"p/__init__.py": "", "p/a.py": A}
    main = "from . import p\nfrom .p import a\ndef root(): return p.a.f()"
    assert list(definitions({"main.py": main, **files})) == used(".p.a:f")


def test_other_packages_are_left_out(definitions):
    main = (
        "import math\nimport torch.nn.functional as F\nfrom torch import nn\n"
        "from collections.abc import Sequence\nfrom deblurlib import psf\n"
        "from deblurlib.errors import InputError\n"
        "def root(a: Sequence):\n"
        "    return math.pi, F.relu(a), nn.ReLU, psf.motion(3), InputError('')\n"
    )
    assert list(definitions({"main.py": main})) == used()


def test_several_roots_are_joined(definitions):
    main = "from .a import f, g\ndef one(): return f()\ndef two(): return g()\n"
    files = {"main.py": main, "a.py": A}
    one, two, both = (definitions(files, roots) for roots in (["one"], ["two"], ["one", "two"]))
    assert both == one | two
    assert list(both) == [".a:f", ".a:g", ".main:one", ".main:two"]


def test_a_method_stands_for_its_class(definitions, tmp_path):
    found = definitions({"main.py": "C = 1\nclass root:\n    def m(self): return C\n"})
    (module,) = (path.parent.name for path in tmp_path.glob("*/main.py"))
    method = importlib.import_module(f"{module}.main").root.m
    again = fingerprint.of_definitions(method)
    assert list(again.values()) == list(found.values())
    assert list(found) == used(".main:C")


BASE = {
    "main.py": "from . import p\n\nSTEPS = 3\n\ndef root(a):\n    return p.scale(a, STEPS)\n",
    "p/__init__.py": "from .a import scale\n",
    "p/a.py": '''
"""Scaling."""
from .b import *  # names that are not told
from .b import gain, unused

def scale(a, steps: int = 2):
    """Scale it."""
    return [gain(a)  # a comment
            for _ in range(steps)]

def other(a):
    return a
''',
    "p/b.py": "OFFSET = 0.5\n\ndef gain(a):\n    return 2 * a + OFFSET\n\ndef unused(): return 1\n",
}
FOUND = [".main:STEPS", ".main:root", ".p.a:scale", ".p.b:OFFSET", ".p.b:gain"]


def changed(definitions, path, before, after):
    """What differs of BASE's definitions after a change of its text: the names."""
    assert before in BASE[path]
    one = definitions(BASE)
    other = definitions({**BASE, path: BASE[path].replace(before, after)})
    assert list(one) == FOUND
    return sorted(key for key in one.keys() | other if one.get(key) != other.get(key))


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("p/a.py", "# a comment", "# another"),
        ("p/a.py", '"""Scaling."""', '"""Of scaling.\n\n"""\n\n'),
        ("p/a.py", '"""Scale it."""', '"""Do."""'),
        ("p/a.py", '    """Scale it."""\n', ""),
        ("p/a.py", "steps: int = 2", "steps:int=2"),
        ("p/b.py", "2 * a + OFFSET", "(2*a\n            + OFFSET)"),
        ("p/a.py", "return a", "return -a"),
        ("p/a.py", "import gain, unused", "import unused, gain"),
        ("p/b.py", "return 1", "return 2"),
        ("p/b.py", "OFFSET = 0.5\n", "NEW = 1\nOFFSET = 0.5\n\ndef new(a): return gain(a)\n"),
        ("p/__init__.py", "import scale", "import other, scale"),
        ("main.py", "STEPS = 3\n", "STEPS = 3\n\ndef root2(a): return a\n"),
    ],
)
def test_looks_and_what_is_not_used_change_nothing(definitions, path, before, after):
    assert changed(definitions, path, before, after) == []


@pytest.mark.parametrize(
    ("path", "before", "after", "names"),
    [
        ("p/b.py", "2 * a", "3 * a", [".p.b:gain"]),
        ("p/b.py", "0.5", "0.25", [".p.b:OFFSET"]),
        ("p/b.py", "def gain", "OFFSET += 1\ndef gain", [".p.b:OFFSET"]),
        ("p/a.py", "steps: int = 2", "steps: int = 3", [".p.a:scale"]),
        ("p/a.py", "gain(a)  ", "gain(a) + unused()  ", [".p.a:scale", ".p.b:unused"]),
        ("main.py", "STEPS = 3", "STEPS = 4", [".main:STEPS"]),
        ("main.py", "STEPS)", "2)", [".main:STEPS", ".main:root"]),
        (
            "p/__init__.py",
            "import scale",
            "import other as scale",
            [".p.a:other", ".p.a:scale", ".p.b:OFFSET", ".p.b:gain"],
        ),
    ],
)
def test_a_change_of_meaning_is_seen_where_it_is(definitions, path, before, after, names):
    assert changed(definitions, path, before, after) == names


@pytest.mark.parametrize("values", [(1, 2), (3, 1), (2, 3)])
def test_all_that_a_name_is_given_counts_and_in_its_order(definitions, values):
    main = "C = {}\nC += {}\ndef root(): return C"
    one, other = (definitions({"main.py": main.format(*v)}) for v in ((2, 1), values))
    assert one.keys() == other.keys()
    assert one[".main:root"] == other[".main:root"]
    assert one[".main:C"] != other[".main:C"]


def test_a_setting_uses_its_kernel_and_no_other_setting():
    found = set(fingerprint.of_definitions(degrade.SETTINGS["s1-motion"]))
    assert {
        "deblurlib.degrade.settings:s1_motion",
        "deblurlib.degrade.sampling:Degradation",
        "deblurlib.psf:motion",
    } <= found
    settings = {name for name in found if name.startswith("deblurlib.degrade.settings:")}
    assert settings == {"deblurlib.degrade.settings:s1_motion"}
    assert "deblurlib.psf:gaussian" not in found


def test_a_setting_of_a_camera_uses_the_camera():
    found = set(fingerprint.of_definitions(degrade.SETTINGS["s4-camera"]))
    assert {
        "deblurlib.degrade.exposure:camera_shake",
        "deblurlib.degrade.exposure:homographies",
        "deblurlib.degrade.settings:CAMERA_MARGIN",
        "deblurlib.degrade.settings:_camera",
    } <= found


def test_training_uses_no_model_and_a_model_no_training():
    of_fit = fingerprint.of_definitions(training.fit)
    assert {
        "deblurlib.training.loop:State",
        "deblurlib.training.rates:OPTIMISERS",
        "deblurlib.training.rates:_cosine",
        "deblurlib.training.rates:named",
    } <= set(of_fit)
    assert not [name for name in of_fit if name.startswith(("deblurlib.models", "deblurlib.deg"))]
    of_model = fingerprint.of_definitions(models.SRCNN)
    assert set(of_model) == {
        "deblurlib.errors:InputError",
        "deblurlib.images:centre_crop",
        "deblurlib.models.srcnn:KERNELS",
        "deblurlib.models.srcnn:SRCNN",
        "deblurlib.models.srcnn:WIDTHS",
    }


@pytest.mark.parametrize(
    "root",
    [
        *degrade.SETTINGS.values(),
        *models.MODELS.values(),
        models.build,
        training.fit,
        training.start_fabric,
        degrade.sample,
        data.hold_out,
        data.open_pairs,
        metrics.psnr,
    ],
    ids=lambda root: root.__name__,
)
def test_every_root_is_among_its_own_definitions_sorted_and_of_one_length(root):
    found = fingerprint.of_definitions(root)
    assert f"{root.__module__}:{root.__name__}" in found
    assert list(found) == sorted(found)
    assert {len(value) for value in found.values()} == {fingerprint.SHORT}


def test_losses_of_torch_are_no_definitions_of_ours():
    own = {loss for loss in LOSSES.values() if loss.__module__.startswith("deblurlib.")}
    assert own == {LOSSES["euclidean"], LOSSES["mse-over-scales"]}
    plain = fingerprint.of_definitions(training.fit)
    assert fingerprint.of_definitions(training.fit, *(set(LOSSES.values()) - own)) == plain
    found = fingerprint.of_definitions(training.fit, *LOSSES.values())
    names = {f"deblurlib.losses:{name}" for name in ("euclidean", "mse_over_scales")}
    assert set(found) - set(plain) == names
