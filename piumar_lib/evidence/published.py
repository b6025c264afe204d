"""Published accuracies on the study's data sets, with held-out people."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """A published accuracy.

    Attributes:
        data: The data set's name.
        method: The trained method.
        accuracy: Accuracy on unseen people, in percent.
        held_out: The held-out people, and other differences from our protocol.
        source: Source of the number.
    """

    data: str
    method: str
    accuracy: float
    held_out: str
    source: str


PARTS = (
    "Z. Shao et al., A Hierarchical Model for Human Action Recognition from Body-Parts, IEEE TCSVT "
    "29(10), 2019; figures as the authors' repository repeats them"
)
PUBLISHED = (
    Published(
        "spar", "random forest", 87.3, "five folds of people; windows",
        "D. M. Burns et al., [arXiv 1802.01489](https://arxiv.org/abs/1802.01489), 2018, first version",
    ),
    Published(
        "spar", "convolutional recurrent network", 88.9, "five folds of twenty people; windows",
        "D. M. Burns et al., [arXiv 1802.01489](https://arxiv.org/abs/1802.01489), 2018",
    ),
    Published("msraction3d", "parts of the body, SVM", 84.98, "one split of people", PARTS),
    Published("utkinect", "parts of the body, SVM", 94.0, "one split of people", PARTS),
    Published(
        "utdmhad_skeleton", "depth motion maps", 66.1, "4 people against 4; depth images",
        "C. Chen, R. Jafari, N. Kehtarnavaz, UTD-MHAD, ICIP 2015",
    ),
    Published(
        "shrec17", "DD-Net, 154,990 parameters", 91.8, "20 people against 8",
        "F. Yang et al., Make Skeleton-based Action Recognition Model Smaller, Faster and Better, ACM "
        "Multimedia Asia 2019; figures in the authors' repository",
    ),
    Published(
        "pendigits", "DTW, nearest neighbour", 97.7, "30 people against 14; 8 points a clip",
        "J.-Y. Franceschi, A. Dieuleveut, M. Jaggi, NeurIPS 2019; figures in the authors' repository",
    ),
    Published(
        "gesturemidair", "MultiRocket", 75.4, "8 people against 5; one axis alone",
        "C. W. Tan et al., [arXiv 2102.00457](https://arxiv.org/abs/2102.00457), 2021; figures in the "
        "authors' repository",
    ),
)  # fmt: skip
