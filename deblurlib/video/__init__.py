"""Pairs from a video: its sharp frames averaged into a blurred one, the middle frame for the sharp.

After Nah, Kim and Lee, "Deep multi-scale convolutional neural network for dynamic scene
deblurring", CVPR 2017, who averaged 7 to 13 frames at 240 a second. ``reading``: frames, from files
and folders. ``mp4``: how many frames the edit list of a trimmed file shows. ``averaging``: pairs
made of frames, and a set of them. Taught in chapter 01.
"""

from .averaging import GHOSTS, VideoPair, motion, pairs, write_pairs
from .reading import Clip, examine, promised_frames, read_frames
from .writing import CONTAINERS, check_video, write_video

__all__ = [
    "CONTAINERS",
    "GHOSTS",
    "Clip",
    "VideoPair",
    "check_video",
    "examine",
    "motion",
    "pairs",
    "promised_frames",
    "read_frames",
    "write_pairs",
    "write_video",
]
