"""A chapter's whole study: as it is published, without its data, or measured anew."""

import json
import shutil

import pytest

from deblurlib import studies
from deblurlib.errors import InputError
from deblurlib.studies import srcnn
from deblurlib.studies.archive import ROOT

PUBLISHED = json.loads((ROOT / "reports" / "results" / "02.json").read_text("utf-8"))


class Named(list):
    """Test images, as far as a study looks at them."""

    name = "mine"


def fail(*_):
    raise AssertionError("it was measured, or made, though it is published")


def opened(profile="quick", study="auto", measure=fail, archive=None):
    archive = studies.Archive("02") if archive is None else archive
    return studies.open_study(archive, profile, [0], "sample", study, measure)


@pytest.mark.parametrize(("profile", "study"), [("quick", "auto"), ("report", "published")])
def test_a_published_study_is_read_without_its_data(profile, study, monkeypatch, tmp_path):
    monkeypatch.delenv("DEBLURLIB_DATA", raising=False)
    monkeypatch.setenv("DEBLURLIB_RUNS", str(tmp_path))
    whole = opened(profile, study)
    assert not whole.measured
    assert whole.claims == PUBLISHED["claims"]
    assert f"published {PUBLISHED['stamp']['finished'][:10]}: report" in str(whole)
    # a run of the page: its history, what its pictures show, and its weights
    run = whole.run("motion")
    assert run.recipe == studies.find_recipe("02/motion", "report", 0, "anime-faces")
    assert run.history[-1]["step"] == run.recipe.steps
    y, x_hat, x = whole.picture("motion", "3-128", fail)
    assert (x_hat - x).square().mean() < (y - x).square().mean() / 2
    assert run.model()(y).shape[-1] == 128 - 2 * run.model().margin
    # all of it is published again with the page
    assert run.id in whole.archive.given
    assert f"{run.id}-3-128" in whole.archive.shown


def test_a_study_whose_numbers_have_moved_says_so(tmp_path, monkeypatch):
    monkeypatch.delenv("DEBLURLIB_DATA", raising=False)
    shutil.copytree(ROOT / "reports" / "results", tmp_path / "reports" / "results")
    path = tmp_path / "reports" / "results" / "02.json"
    path.write_text(json.dumps(PUBLISHED | {"confirmed": {"changed": ["losses"]}}), "utf-8")
    whole = opened(archive=studies.Archive("02", root=tmp_path))
    assert not whole.measured
    assert "whose numbers have moved since: report" in str(whole)


@pytest.mark.parametrize(
    ("profile", "study"), [("report", "auto"), ("full", "auto"), ("smoke", "anew")]
)
def test_a_study_is_measured_where_that_is_asked_for(profile, study):
    whole = opened(profile, study, lambda: ([], [], Named("abc")))
    assert whole.measured
    assert str(whole) == f"measured now: {profile}, mine (3 test images), seeds 0"


def test_how_long_methods_took_is_measured_or_published():
    whole = opened()
    timings = ROOT / "reports" / "results" / "02_timings.json"
    assert whole.seconds == json.loads(timings.read_text("utf-8"))["seconds"]
    assert {"identity", "02/motion"} <= whole.seconds.keys()
    took = {"identity": [0.0], "02/motion": [0.25, 0.123456, 9.0]}
    rows = [{"method": name, "seconds": s} for name, some in took.items() for s in some]
    rows.append({"method": "02/box"})  # as a published run's
    whole = opened("report", measure=lambda: (rows, [], Named("abc")))
    assert whole.seconds == {"identity": 0.0, "02/motion": 0.25}
    whole = opened("report", measure=lambda: (rows[:3], [], Named("abc")))
    assert whole.seconds["02/motion"] == 0.187  # the median, to three digits


def test_what_is_not_published_is_measured_and_other_words_are_refused(tmp_path):
    new = studies.Archive("99", root=tmp_path)
    assert opened(archive=new, measure=lambda: ([], [], Named())).measured
    with pytest.raises(InputError, match="auto, published or anew, not 'new'"):
        opened(study="new")


def test_chapter_02_is_measured_as_it_is_published(tmp_path, monkeypatch):
    monkeypatch.setenv("DEBLURLIB_RUNS", str(tmp_path))
    archive = studies.Archive("02", root=tmp_path)
    rows, claims, test = srcnn.measure(archive, "smoke", [0], "sample")
    assert [c["id"] for c in claims] == [c["id"] for c in PUBLISHED["claims"]]
    for now, then in zip(claims, PUBLISHED["claims"], strict=True):
        for key in ("quote", "estimand", "unit", "margin", "sign", "origin"):
            assert now[key] == then[key]
        assert now["verdict"] is None
    methods = {row["method"] for row in rows}
    assert {"identity", "02/motion", "02/super-resolution"} <= methods
    assert len(test) == 3
