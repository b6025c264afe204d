"""What PIUmr is compared with, each method as short as its idea.

- `piumar_lib.baselines.groups`: GroupDRO, V-REx, IRM, Fish, CVaR, JTT, EIIL. They average losses or
  gradients otherwise; most are told who is who, which GIRL is not.
- `piumar_lib.baselines.features`: CORAL, MMD, DANN make features of people alike; MixStyle and DSU
  vary their statistics; Mixup and ReMA mix clips.
- `piumar_lib.baselines.hdf`: HDF, by the same first author, from its description.

All of them are an `Objective`, a plug of `Recognizer`, or both; `piumar_lib.methods` has their table.
"""
