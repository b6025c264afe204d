"""Numbers that a chapter's prose quotes from its own outputs are those of the committed run.

For each chapter a list of pairs: a fragment of the prose that holds measured numbers and no others,
and a regular expression whose groups are these numbers, in any order, in the outputs of the executed
notebook (printed lines, tables, alternative texts of figures).
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import nbformat
import pytest
from test_claims import prose

ROOT = Path(__file__).parents[1]
NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?:e-?\d+)?(?![\w])")
Quotes = list[tuple[str, str]]
QUOTES: dict[str, Quotes] = {
    "00_start_here": [
        ("In 7 of 7: it is always", r"fastest in (\d+) of (7) exercises"),
        ("takes 1.4 to 2.2 times as long, and", r"takes from (\S+) to (\S+) times"),
        ("up to 2.2 times as long", r"takes from \S+ to (\S+) times"),
    ],
    "01_person_shift": [
        (
            "Synthetic people: 92 % against 79 %; SPAR: 96 % against 86 %",
            r"people: (\S+) % accuracy .* (\S+) % on unseen people\. SPAR: (\S+) % against (\S+) %",
        ),
        ("0.4 and 2.8 times the typical one, and 7 % of", r"tempo (\S+) to (\S+), (\d+) % of people"),
        ("take them 0.46 s: 6.5 Hz", r"swings in (\S+) s, (\S+) Hz"),
        ("frequency is 6.25 Hz", r"Nyquist (\S+) Hz"),
        ("85 points: most", r"worst unseen person: (\d+) points"),
        (
            "reaches 38 % accuracy, against 75 % among",
            r"known: .*, worst quarter (\d+) %\. unseen: .*, worst quarter (\d+) %",
        ),
        (
            "gives 76 to 82 %, resampling people 67 to 89 %, which is 3.9 times",
            r"clips   (\d+) to (\d+) %\n.* people  (\d+) to (\d+) %\nover people it is (\S+) times",
        ),
        (
            "reports 97.0 %, the split by person 86.2 %: two ways of testing the same network differ by "
            "10.8 points",
            r"windows overlap (\S+) %, random, .* apart (\S+) %\. Highest .*: (\S+) points",
        ),
        ("for 89 % of windows", r"neighbour of the same person: (\d+) %"),
        ("correct for 97 % of windows", r"; label correct for (\d+) %"),
        ("of anyone else's for 77 %", r"anyone else correct for (\d+) %"),
        ("Tempo costs most on average, +11.1 points when off", r"off: tempo (\S+),"),
        ("then amplitude with +7.6;", r"amplitude (\S+),"),
        ("they sum to 41 points, where 24 are", r"sum to (\d+) points; (\d+) points are missing"),
        (
            "by 26 points on training people and by 52 on",
            r"centring: -(\d+) points on training people, -(\d+) on unseen",
        ),
        (
            "79 against 92 % for synthetic people, 86 against 96 % on SPAR",
            r"people: (\S+) % accuracy .* (\S+) % on unseen people\. SPAR: (\S+) % against (\S+) %",
        ),
        ("worst quarter of unseen people, at 38 %", r"unseen: .*, worst quarter (\d+) %"),
        ("reports up to 10.8 points too much", r"Highest .*: (\S+) points"),
        ("costs most on average**: +11.1 points", r"off: tempo (\S+),"),
        (
            "52 points are lost on unseen people and 26 on",
            r"centring: -(\d+) points on training people, -(\d+) on unseen",
        ),
    ],
    "02_optimal_transport": [
        ("no assignment is better (0 of", r"(\d+) are better"),
        ("the largest mean squared distance is 6.21,", r"from \S+ to (\S+); sorting"),
        ("that of sorting 2.12.", r"from (\S+) to \S+; sorting"),
        ("the area between the curves, 0.40, and", r"the area between them is ([\d.]+),"),
        (
            "the plain form has 0 % finite entries at $\\varepsilon = 0.001$, the log form 100 %",
            r"at epsilon (\S+), plain and log form: (\d+) % (\d+) %",
        ),
        (
            "0.198 at $\\varepsilon = 1$ to 0.174 at 0.01; the exact plan costs 0.170.",
            r"Costs: (1): (\S+), .* (0.01): (\S+), .* exact ([\d.]+)\.",
        ),
        (
            ": 6 at $\\varepsilon = 0.1$, 51 at 0.01, 508 at 0.001.",
            r"1e-6: (0.1): (\d+), .* (0.01): (\d+), .* (0.001): (\d+)\.",
        ),
        (
            "its error is 0.23 s, against 0.05 s for pose + order and 0.01 s for DTW",
            r" pose (\S+) s, pose \+ order (\S+) s, DTW (\S+) s",
        ),
        ("The monotone coupling reaches 0.06 s", r"monotone (\S+) s"),
        ("the cumulative sums, here 0.40.", r"the area between them is ([\d.]+),"),
        (
            "after 6 iterations at $\\varepsilon = 0.1$, and after 508 at 0.001.",
            r"1e-6: (0.1): (\d+), .* (0.001): (\d+)\.",
        ),
        (
            "off by 0.01 s on average, the monotone coupling by 0.06 s, and entropic transport by pose "
            "alone by 0.23 s",
            r"monotone (\S+) s, pose (\S+) s, .* DTW (\S+) s",
        ),
    ],
    "13_appendix_transport": [
        ("whose areas are 0.53 π and 0.37 π", r"the ends have (\S+) pi and (\S+) pi"),
        ("reaches 0.64 π, the averaged covariance 0.86 π", r"area (\S+) pi and .* covariance (\S+) pi;"),
        ("With 500 directions the estimate is 12.71", r"(500) directions: (\S+)"),
        (
            "it is 0.00 between the ring and the cloud, where the sliced distance is 0.10",
            r"ring and cloud (\S+) and (\S+);",
        ),
        ("both are 0.00 for the reversal", r"reversal (\S+) and"),
        ("area 0.64 π, the averaged covariance 0.86 π", r"area (\S+) pi and .* covariance (\S+) pi;"),
        ("500 random directions give 12.71", r"(500) directions: (\S+)"),
        (
            "gives 0.00 for a ring and a cloud, the sliced one 0.10",
            r"ring and cloud (\S+) and (\S+);",
        ),
        ("both give 0.00 for a clip and its reversal", r"reversal \S+ and ([\d.]+\d)"),
    ],
    "03_temporal_alignment": [
        (
            "at most 2.20 per second against 0.69",
            r"at most (\S+) per second, the slow one's by ([\d.]+\d);",
        ),
        ("a fraction of 0.17 is left", r"nods' distance (\S+) is left at floor 0\.1"),
        ("nearly all of it (0.94)", r"at floor 0\.1 and (\S+) at 0\.5"),
        ("is 1.59. With the threshold it is 0.46.", r"are (\S+) apart; .* together again, (\S+) apart"),
        ("falls to 0.17 of", r"nods' distance (\S+) is left at floor 0\.1"),
        ("comes from UTD-MHAD (+6.6)", r"UTD-MHAD, 8 people: (\S+) "),
        ("SPAR (+5.1),", r"SPAR, 10 people: (\S+) "),
        ("MSR Action3D (+4.1)", r"MSR Action3D, 10 people: (\S+) "),
        ("(+2.4); the other", r"SHREC'17, 28 people: (\S+) "),
        ("gain at most 1.8.", r"UTKinect, 10 people: (\S+) "),
    ],
    "05_consistency_fusion": [
        ("cosines are 1 and 0.976; after", r"cosine: +\[(\S+) +(\S+)\]"),
        (
            "$\\mathrm{sigmoid}(1) = 0.73$ and $\\mathrm{sigmoid}(-1) = 0.27$",
            r"centred cosine: +\[ *(1)\. +(-1)\.\](?s:.*?)gates \[(\S+) (\S+)\]",
        ),
        ("cdot 4 \\approx 4.13$", r"fused \[\[5\.0, (4)\.0\], \[(\d\.\d\d)"),
        (
            "is recognised in 79 % of the cases, that with the highest in 92 %",
            r"10 people: (\S+) %, .* (\S+) %\.",
        ),
        ("13.5 points more [5.9, 21.0]", r"over lowest quarter: (\S+) \[(\S+), (\S+)\]"),
        (
            "gates is 0.17; with the plain cosine it is 0.007,",
            r"deviation is (\S+), with the plain cosine (0\.\d+)",
        ),
        (
            "deviation is 0.17, with the plain cosine 0.007,",
            r"deviation is (\S+), with the plain cosine (0\.\d+)",
        ),
        (
            "is 79 % in the quarter with the lowest gates, and 93 and 92 %",
            r"10 people: (\S+) %, \S+ %, (\S+) %, (\S+) %\.",
        ),
        (
            "changes by +0.2, -0.1 and +0.8 points",
            3 * r"behind all blocks.*?mean instead of the gate (\S+);.*?",
        ),
        (
            "gate changes accuracy by +0.2, -0.1 and +0.8",
            3 * r"behind all blocks.*?mean instead of the gate (\S+);.*?",
        ),
        (
            "gains +10.4, +11.6 and +3.0 points over augmentation, and +5.0, +9.5 and +2.7 over the",
            3 * r".*: TFAM over augmentation (\S+) .*, over a uniform clock (\S+) .*\n",
        ),
        (
            "TFAM is +5.0, +9.5 and +2.7 points above",
            3 * r".*: TFAM over augmentation .*, over a uniform clock (\S+) .*\n",
        ),
        (
            "deeper loses 4.4 to 5.5 points",
            r"SPAR \(10\): behind the first block -(\S+);.*?behind all blocks -(\S+);",
        ),
    ],
    "11_prepare_ma52": [
        ("A person of the stand-in has 9 to 215 clips", r"people, from (\d+) to (\d+)\. Right"),
        ("codes are wrong for 46 of 52 actions", r"wrong label for (\d+) of (\d+) actions"),
        ("wrong label for 46 of 52 actions, among", r"wrong label for (\d+) of (\d+) actions"),
        ("91 of 91 val people are in train, in", r"(\d+) of (\d+) val people are in train\n"),
        ("hand, 4.2 hand lengths", r"the other hand: (\S+) times"),
        (
            "it varies by 1.1 % from clip to clip, an estimator's error; after min-max by 6.3 %,",
            r"pixels: .* by (\S+) %\nmin-max: .* by (\S+) %",
        ),
        ("makes shoulders vary by 6.3 %", r"min-max: .* by (\S+) %"),
        ("The error is 0.041 torso lengths", r"median error (\S+), offset"),
        ("of each clip it is 0.009, about", r"offset removed (\S+), movement"),
        ("joints move by only 0.008 torso lengths", r"movement (\S+) torso"),
        ("These joints move by 0.008 torso lengths", r"movement (\S+) torso"),
        (
            "correlate with the original's at 0.79; with crf 14 at 0.95.",
            r"crf (14): .* (0\.\d+)\ncrf 23: .* (0\.\d+)",
        ),
    ],
    "04_spectral_perturbation": [
        ("It is 0.41, or", r"strength 1: variance ([\d.]+),"),
        ("Most of it: 70 %", r"the floor is (\d+) % of it"),
        ("The four hold 95 % of", r"of 32 hold (\d+) % above the floor"),
        (
            "41 % lies between people, against 21 % at single frequencies and 1 % if the labels",
            r"between people (\d+) % \(single frequencies (\d+) %, shuffled (\d+) %\)",
        ),
        (
            "UTD-MHAD loses 4.2 points, SHREC'17",
            r"own tempo: .*?UTD-MHAD, 8 people: -(\S+) .*?SHREC'(17),",
        ),
        (
            "2.5 and Pen digits 0.9, while UTKinect gains 3.0.",
            r"own tempo: .*?UTKinect, 10 people: (\S+) .*?SHREC'17, 28 people: -(\S+) "
            r".*?Pen digits, 44 people: -(\S+) ",
        ),
        ("The power is 3.67 times as large", r"sigma xi: power times ([\d.]+),"),
        ("the median gain falls to 0.55", r"sigma xi - sigma\^2: .* median gain (\S+)"),
        (
            "moves 1.07 times as far as two people are apart, the rest 0.03 times, and the mean power "
            "stays (1.01 times)",
            r"power times (\S+); smooth part moves (\S+) units, the rest (\S+)",
        ),
        ("recordings 70 % is the Rayleigh floor", r"the floor is (\d+) % of it"),
        (
            "hold 95 % of the rest. Of their variance, 41 % lies",
            r"of 32 hold (\d+) % above the floor; between people (\d+) %",
        ),
        (
            "-0.6 points [-1.7, +0.6] at own tempo;",
            r"pooled, 153 people in 9 data sets: (\S+) \[(\S+), (\S+)\]",
        ),
        ("moves a clip 1.07 times as far", r"smooth part moves (\S+) units"),
    ],
    "09_evidence": [
        (
            "twelve verdicts 0 are a gain, 2 equivalent, and 10 not decided",
            r"a gain: (\d+); a loss: \d+; equivalent within 1 point: (\d+); not decided: (\d+)",
        ),
    ],
    "12_train_ma52": [
        (
            "47.6 % of unseen synthetic people's clips, a constant answer 12.1 %",
            r"10\.0: .* top-1 (\S+) %, always the most frequent action (\S+) %",
        ),
        (
            "difference over people is -0.9 points [-4.5, +2.7], on",
            r"over augmentation: (\S+) \[(\S+), (\S+)\] points over",
        ),
        (
            "45 % of the clips of leg-hand",
            r"in (\d+) % of its clips, leg-hand is classified as upper limb",
        ),
        (
            "have a mean recall of 14 %, the others 41 %, and",
            r"mean (\d+) % for the rarer half, else (\d+) %",
        ),
        ("people range from 29 to 68 %", r"with PIUmr from (\d+) to (\d+) %"),
        ("It is 0.14, and accuracy", r"expected calibration error (\d\.\d+)\."),
        (
            "F1_mean is 47.5 %, and 48.0 % with the flat head",
            r"flat: F1_mean (\S+) %\nhierarchical: F1_mean (\S+) %",
        ),
        (
            "accuracy changes by -0.2 points [-4.8, +4.3].",
            r"hierarchical over flat, accuracy: (\S+) \[(\S+), (\S+)\] points",
        ),
        (
            "ERM has -2.2 points [-2.9, -1.5],",
            r"\| ERM \|.* (\S+) \[(\S+), (\S+)\] \|",
        ),
        (
            "MixStyle -1.7 [-2.4, -1.1],",
            r"\| MixStyle \+ augmentation \|.* (\S+) \[(\S+), (\S+)\] \|",
        ),
        (
            "PIUmr -1.1 [-1.8, -0.4] and",
            r"\| PIUmr \+ augmentation \|.* (\S+) \[(\S+), (\S+)\] \|",
        ),
        (
            "GroupDRO -8.5 [-9.6, -7.4],",
            r"\| GroupDRO \+ augmentation \|.* (\S+) \[(\S+), (\S+)\] \|",
        ),
        ("recognises 59.7 % of unseen synthetic", r"never saw it recognises (\S+) %"),
        (
            "is 0.80 for amplitude and 0.66 for onset, but 0.35 for duration",
            r"duration .* correlation (\S+); onset .* correlation (\S+); ampl.* correlation (\S+)\.",
        ),
        (
            "frequent (9.6 %); on frames minus their mean it reached 25.7 %",
            r"raw frames (\S+) %, .* mean (\S+) %",
        ),
        ("54.9 and 54.8 %, where", r"version rise to (\S+) and (\S+) %"),
        ("where a constant answer has 11.4 %", r"%; a constant answer has (\S+) %"),
        (
            "established, -0.5 points [-2.6, +1.7]; a",
            r"mean difference is (\S+) \[(\S+), (\S+)\] points",
        ),
        (
            "recognise 47.6 % of unseen people's clips; a constant answer has 12.1 %",
            r"10\.0: .* top-1 (\S+) %, always the most frequent action (\S+) %",
        ),
        ("people range from 29 to 68 %", r"with PIUmr from (\d+) to (\d+) %"),
        ("recall of 14 %, others 41 %", r"mean (\d+) % for the rarer half, else (\d+) %"),
        (
            "PIUmr has -0.9 points [-4.5, +2.7] and",
            r"over augmentation: (\S+) \[(\S+), (\S+)\] points over",
        ),
        (
            "head -0.2 [-4.8, +4.3]",
            r"hierarchical over flat, accuracy: (\S+) \[(\S+), (\S+)\] points",
        ),
    ],
    "10_costs": [
        ("adds 0.0036 % to the FLOPs of Video", r"videomae-base, inference: TFAM \| (\S+) \|"),
        ("and 0.0523 % to those of ResNet", r"resnet50-tsm, inference: TFAM \| (\S+) \|"),
        ("TFAM adds 21 % in", r"videomae-base, inference: TFAM \| \S+ \| (\d+) \|"),
        ("together 74 % in training", r"videomae-base, training: .* \| (\d+) \|"),
        (
            "launches 2085 kernels, twelve times as many as the exact plan with its 176.",
            r"exact plan \|.* (\d+) \|\n\| Sinkhorn plan \|.* (\d+) \|",
        ),
        ("TFAM adds 0.0036 % to", r"videomae-base, inference: TFAM \| (\S+) \|"),
        ("costs 85 launches and 1.2 ms", r"GIRL \| - \| (\S+) \| - \| (\d+) \|"),
        ("takes 4.9 times as long", r"frames x 4: spectral perturbation x (\S+);"),
        ("of this run are between 0.5 and 1.1:", r"last slopes (\S+) to (\S+)"),
        ("reaches: the 49 % would", r"matmul speed, .* \| n\. m\. \| (\d+) \|"),
    ],
    "06_robust_optimisation": [
        (
            "the largest average is 0.66, between the mean 0.50 and the maximum 0.90",
            r"mean (\S+), largest average in the disc (\S+), maximum (\S+)",
        ),
        ("a convex solver agrees to 6e-09", r"largest difference in value (\S+)"),
        ("agrees to 6e-09 on 9 random problems", r"(\d+) problems, .* value (\S+)"),
        (
            "the formula is exact up to 0.57, with a few easy ones only up to 0.09",
            r"tail -1.0: .* radius (\S+); (?s:.*?)tail \+1.0: .* radius (\S+); at",
        ),
        (
            "up to 0.09 if a few people are easy, up to 0.57 if a few are hard",
            r"tail -1.0: .* radius (\S+); (?s:.*?)tail \+1.0: .* radius (\S+); at",
        ),
        ("from 0.70 to 0.99 with the ball", r"ERM's easiest person (\S+),(?s:.*?)ball .* person (\S+),"),
        ("but to 1.48 with mean + standard deviation", r"mean \+ std .* person (\S+),"),
        ("11 people end with a negative weight", r"mean \+ std .* negative weights (\d+)"),
        ("35 of 40 people are better off with the ball", r"better off with the ball .* (\d+) of (\d+)"),
        (
            "1.53 against 1.61 nats (1.96 for ERM)",
            r"Highest risk: ERM (\S+), chi-square ball (\S+), mean \+ std (\S+),",
        ),
        ("which at ERM's risks is 0.08", r"threshold rho\* at ERM's risks: (\S+)"),
        (
            "it left 11 of 40 people with a negative weight",
            r"of (40) are above .* and (\d+), marked hollow",
        ),
        ("and 35 were better off with the ball", r"better off with the ball .* (\d+) of"),
        (
            "the largest reaches 0.76, with doubled risks 0.94. In the ball it ends at 0.32",
            r"At the end: (\S+) \(exp.*?, (\S+) \(exp.*?, (\S+) \(ball",
        ),
        (
            "ended at 0.32 in the ball, and at 0.76 with exponentiated weights",
            r"At the end: (\S+) \(exp.*?, (\S+) \(ball",
        ),
    ],
    "07_pseudo_groups": [
        ("Their agreement with people is 0.91", r"hold one person each\. Agreement (\S+)\."),
        (
            "input 0.05, first layer 0.08, behind TFAM 0.07, of a ceiling of 0.19",
            r"synthetic, 60 .* input (\S+), layer 1 (\S+), layer 1 behind TFAM (\S+), ceiling (\S+);",
        ),
        (
            "the input comes closest, 0.14 of 0.47",
            r"real, 10 people: .* input (\S+), .* ceiling (\S+)\.",
        ),
        (
            "is 0.38 for the amplitude of tremor, 0.36 for that of the action and 0.32 for",
            r"tremor amplitude (\S+), amplitude (\S+), sway amplitude (\S+),",
        ),
        ("it is 0.11: a mean", r"tempo (\S+),"),
        (
            "style groups range from 0.03 to 0.19, those of random groups from 0.10 to 0.16",
            r"%, and (\S+) to (\S+) in the hardest action; .* and (\S+) to (\S+) in the hardest",
        ),
        ("But 70 % of the variance of the risks", r"groups of style (\d+) %"),
        ("see that part too (86 % of theirs)", r"random groups (\d+) %"),
        ("ERM reaches 47 %, true groups 79 %", r"Means: ERM (\d+) %, true groups (\d+) %"),
        (
            "recover 0.97 of this gain, random groups 0.05",
            r"true groups' gain: style groups (\S+), random groups ([\d.]+\d)",
        ),
        ("Hard clips alone reach 60 %", r"hard clips alone (\d+) %"),
        ("the default, reach 90 %", r"style groups and hard clips (\d+) %"),
        ("and 2 lie below", r"groups 0 intervals lie above zero, (\d+) below"),
        ("GIRL gains 3.7 points over TFAM", r"; GIRL over TFAM \+(\S+) \["),
        ("is 0.08; the ceiling is 0.19", r"60 people: .* layer 1 (\S+), layer .*? ceiling (\S+);"),
        ("is 0.36 for amplitude, and 0.11 for tempo", r", amplitude (\S+), .* tempo (\S+),"),
        (
            "recovers 0.97 of the gain of true groups, random groups 0.05",
            r"true groups' gain: style groups (\S+), random groups ([\d.]+\d)",
        ),
        ("it gained 3.7 points, but", r"; GIRL over TFAM \+(\S+) \["),
        ("In training, 70 % of the variance", r"groups of style (\d+) %"),
    ],
    "08_piumr_from_scratch": [
        (
            "from 72.2 to 75.4 %, +3.2 points, against +10.2 points",
            r"GRU ERM (\S+) %, PIUmr (\S+) %: (\S+) points; .* (\S+) points",
        ),
        ("ERM recognises 69.0 %, PIUmr 79.1 %", r"code: ERM (\S+) % .*; PIUmr (\S+) %"),
        (
            "the gain is 3.2 points instead of 10.2.",
            r"%: \+(\S+) points; with convolutions \+(\S+) points",
        ),
    ],
    "14_appendix_robust_risks": [
        (
            "the values are 0.68 (CVaR), 0.74 (chi-square) and 0.80 (KL)",
            r"fraction 0.6: CVaR (\S+), chi-square (\S+), KL (\S+)",
        ),
        ("CVaR of 16 losses is too low by 3.0 %", r"(\d+) losses, CVaR: too low by (\S+) %"),
        ("CVaR of 16 losses by 3.0 %", r"(\d+) losses, CVaR: too low by (\S+) %"),
        ("falls more slowly, with exponent -0.72", r"exponent of m: .* KL (\S+)"),
        ("the cosine is 0.29: most", r"cosine (\S+), with EMA"),
        ("With EMA it is 0.80", r"cosine .*, with EMA (\S+)"),
        ("(cosine 0.29 with", r"cosine (\S+), with EMA"),
        ("clips per person, 0.80 with EMA", r"cosine .*, with EMA (\S+)"),
        (
            "worst unseen person gets 20 % from CVaR, 36 % from chi-square and 63 % from KL",
            r"worst unseen person: (\S+) % .* (\S+) % .* (\S+) %",
        ),
        (
            "gets 63 % of it, 36 % from chi-square, 20 % from CVaR",
            r"worst unseen person: (\S+) % .* (\S+) % .* (\S+) %",
        ),
        (
            "from 0.01 to 0.16 nats, those of unseen people from 0.04 to 7.25",
            r"in nats: training people (\S+) to (\S+); unseen people (\S+) to ([\d.]+\d)",
        ),
        ("agrees with all three to 2e-08", r"to the solver: (\S+) \(CVaR\)"),
    ],
}


@cache
def outputs(path: Path) -> str:
    """Everything that an executed notebook printed or showed, as text."""
    found = []
    for cell in nbformat.read(path, 4).cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            found.append(output.get("text", "") + data.get("text/markdown", ""))
            found.append(output.get("metadata", {}).get("image/png", {}).get("alt", ""))
    return "\n".join(found)


def problem(text: str, printed: str, fragment: str, pattern: str) -> str | None:
    """What is wrong with one quotation, in a sentence; None if it is right."""
    if fragment not in text:
        return f"{fragment!r} is not in the prose"
    match = re.search(pattern, printed)
    if not match:
        return f"{fragment!r}: no output matches {pattern!r}"
    if sorted(map(float, match.groups())) != sorted(map(float, NUMBER.findall(fragment))):
        return f"{fragment!r}: the committed run printed {match.groups()}"
    return None


ALL = [(stem, *quote) for stem, quotes in QUOTES.items() for quote in quotes]


@pytest.mark.parametrize("stem, fragment, pattern", ALL, ids=[f"{q[0][:2]}: {q[1]}" for q in ALL])
def test_a_number_in_prose_is_what_the_committed_run_printed(stem, fragment, pattern):
    path = ROOT / "notebooks" / f"{stem}.py"
    assert problem(prose(path), outputs(path.with_suffix(".ipynb")), fragment, pattern) is None


SAID, PRINTED = "It falls from 0.70 to -3 % here.", "risk 0.70, change -3 %"


@pytest.mark.parametrize(
    ("fragment", "pattern", "reason"),
    [
        ("from 0.70 to -3 %", r"risk (\S+), change (\S+)", None),
        ("from 0.7 to -3 %", r"risk (\S+), change (\S+)", "not in the prose"),
        ("from 0.70 to -3 %", r"gain (\S+)", "no output matches"),
        ("from 0.70 to -3 %", r"risk (\S+),", "the committed run printed"),
        ("to -3 %", r"risk (\S+),", "the committed run printed"),
    ],
)
def test_a_wrong_quotation_is_found(fragment, pattern, reason):
    found = problem(SAID, PRINTED, fragment, pattern)
    assert found is None if reason is None else reason in found


def test_outputs_are_printed_lines_tables_and_alternative_texts(tmp_path):
    v4 = nbformat.v4
    shown = v4.new_output("display_data", {"image/png": ""}, metadata={"image/png": {"alt": "a curve"}})
    table = v4.new_output("display_data", {"text/markdown": "| 1 |"})
    cell = v4.new_code_cell(outputs=[v4.new_output("stream", text="said"), shown, table])
    nbformat.write(v4.new_notebook(cells=[cell]), tmp_path / "a.ipynb")
    assert all(part in outputs(tmp_path / "a.ipynb") for part in ("said", "a curve", "| 1 |"))
