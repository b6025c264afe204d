"""Skeletons as trees: the parent of each joint, -1 at the root.

Converters measure all joints relative to the root, whose three channels hold its path through the room.
The order of joints is that of the sensor's software or of the data set's description.
"""

from __future__ import annotations

# Kinect SDK 1: hip centre, spine, shoulder centre, head; left arm, right arm, left leg, right leg.
KINECT = (-1, 0, 1, 2, 2, 4, 5, 6, 2, 8, 9, 10, 0, 12, 13, 14, 0, 16, 17, 18)

# UTD-MHAD: the same joints, listed from the head down, measured from the spine.
UTD_MHAD = (1, 2, -1, 2, 1, 4, 5, 6, 1, 8, 9, 10, 3, 12, 13, 14, 3, 16, 17, 18)

# MSR Action3D: shoulders, neck, spine, hips, hip centre (the root); elbows, wrists, hands, knees,
# ankles, feet with the sensor's right and left in turn; the head is last.
MSR_ACTION3D = (2, 2, 3, 6, 6, 6, -1, 0, 1, 7, 8, 9, 10, 4, 5, 13, 14, 15, 16, 2)

# UI-PRMD, Kinect v2: waist, spine, chest, neck, head, head tip; collar to hand, hip to toes, left first.
UI_PRMD = (-1, 0, 1, 2, 3, 4, 2, 6, 7, 8, 2, 10, 11, 12, 0, 14, 15, 16, 0, 18, 19, 20)

# SHREC'17, a hand: wrist, palm (the root), then thumb to little finger from base to tip.
SHREC_HAND = (1, -1, 0, 2, 3, 4, 1, 6, 7, 8, 1, 10, 11, 12, 1, 14, 15, 16, 1, 18, 19, 20)
