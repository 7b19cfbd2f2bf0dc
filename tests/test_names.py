"""Names as types: what a type checker knows is what the tables hold; a slip is told its cure."""

import pytest
import torch

import deblurlib
from deblurlib import degrade, files, losses, metrics, names, restoration, studies, video
from deblurlib.cli import restore as command
from deblurlib.errors import InputError


@pytest.mark.parametrize(
    ("kind", "table"),
    [
        (names.MethodName, [*restoration.METHODS, *restoration.shipped()]),
        (names.SettingName, degrade.SETTINGS),
        (names.Protocol, metrics.SSIM_PROTOCOLS),
        (names.Objective, losses.OBJECTIVES),
        (names.Boundary, degrade.BOUNDARIES),
        (names.Profile, studies.PROFILES),
        (names.Chapter, studies.CHAPTERS),
    ],
)
def test_a_type_holds_the_names_of_its_table(kind, table):
    assert names.known(kind) == tuple(table)


def test_the_command_knows_all_that_can_be_written():
    assert (*files.FORMATS, *video.CONTAINERS) == command.SUFFIXES


def test_a_slip_is_told_what_it_is_like():
    with pytest.raises(InputError, match="did you mean 'srn'"):
        restoration.find_method("srm")
    with pytest.raises(InputError, match=r"did you mean '02/motion'\?; deblur recipes 02 lists"):
        studies.find_recipe("02/motin", "smoke")
    with pytest.raises(InputError, match=r"is none of .*valid$"):
        degrade.convolve(torch.ones(1, 1, 4, 4), torch.ones(1, 1), "xyz")


def test_the_library_shows_its_modules_and_loads_them_when_they_are_used():
    assert set(deblurlib.__all__) <= set(dir(deblurlib))
    for name in deblurlib.__all__:
        assert getattr(deblurlib, name).__doc__
    with pytest.raises(AttributeError):
        deblurlib.nothing  # noqa: B018
