"""Ledger of HDF: its figure, its published code, and the course's row.

F.-Q. Cui et al., *Learning from Heterogeneity*, ACM MM 2025 (arXiv 2507.15765): the figure of the method
in the repository QIcita/HDF_DFER, and the files ``DAM.py``, ``DSM.py`` and ``train_wSAM.py`` there. The
row "HDF as published" follows the code wherever it says enough to run and has an effect, else the
figure. The row "HDF" is older and ours: it carries both modules over to sequences.
"""

from __future__ import annotations

from typing import NamedTuple


class Line(NamedTuple):
    """One component of HDF in its figure, in its code and in the row, with the reason."""

    part: str
    figure: str
    code: str
    ours: str


LEDGER = (
    Line(
        "backbone",
        "X3D, a DAM behind each of four stages",
        "not in the repository",
        "a DAM behind each stage of a ResNet with temporal shift; one behind VideoMAE's last layer, "
        "since its layers have one resolution. All methods are compared on one backbone",
    ),
    Line(
        "what a frame's score is made of",
        "average and maximum, for each frame and channel",
        "channels pooled into as many groups as there are frames",
        "as the code",
    ),
    Line(
        "differences within the score",
        "'Compensate' and 'Wasserstein'",
        "absolute difference of neighbouring groups of channels, and Euclidean distance of a frame's "
        "groups from their mean; neither runs along time, and neither is a Wasserstein distance",
        "as the code",
    ),
    Line(
        "cosine filters",
        "'DCT' of the mean frame",
        "`dct_filter.py`, which is missing; the file of this name in FSTA-SNN has the orthonormal 7 x 7 "
        "DCT-II, rounded to four digits",
        "computed; the filters are equal for all channels, so channels are summed first",
    ),
    Line(
        "perturbation of the spectrum",
        "'Perturbation', with weights",
        "no noise: learned numbers times the spectrum's sign, in training and in evaluation",
        "as the code",
    ),
    Line(
        "'Fitting'",
        "a box",
        "a tanh whose slope is divided by the standard deviation over frequencies",
        "as the code",
    ),
    Line(
        "fusion of both branches",
        "'Adaptive Time-Frequency Fusion'",
        "two learned weights, 0.8 and 0.3 at the start, halved",
        "as the code; one factor for each frame and place, which is the same",
    ),
    Line(
        "weights of pairs",
        r"$w = \exp(-(s - \eta)^2 / 2 \eta^2)$ in the denominator, without the clip itself",
        "of similarities over the temperature, less the row's largest, normalised, on the logarithms; "
        "with the clip itself, which takes nearly all the weight; positive pairs are an undefined name",
        r"as the figure: by the code's weights the term nearly vanishes. $s$ is the cosine in $w$, as "
        r"$\eta = 0.2$ has that scale, and the cosine over the temperature in $\exp(s)$",
    ),
    Line(
        "trace of the covariance",
        "added: 'compression'",
        "subtracted, with weight 0.5 (0.1 by default), on unit features",
        "as the code; it changes the loss by about 0.05 at most, and the cross-entropy counts tenfold",
    ),
    Line(
        "weights of the losses",
        r"$\alpha g / (g + 1)$ and $\beta / (g + 1)$ with the gradient's norm $g$; neither given",
        "10 and 0.1, fixed; the norm is stored and not used",
        "as the code",
    ),
    Line(
        "sharpness-aware steps",
        "a picture of a loss surface",
        "radius 0.05 about AdamW's steps",
        "as the code, about the steps of the course's recipe",
    ),
    Line(
        "label smoothing, learning rate, decay",
        "not given",
        "arguments without values",
        "those of the course's recipe, as for all methods",
    ),
)
