"""Methods that PIUmr is compared with, in short implementations.

- `piumar_lib.baselines.groups`: GroupDRO, V-REx, IRM, Fish, CVaR, JTT, EIIL. They average losses or
  gradients differently; most use person labels, which GIRL does not.
- `piumar_lib.baselines.features`: CORAL, MMD, DANN align the features of people; MixStyle and DSU vary
  their statistics; Mixup mixes clips.
- `piumar_lib.baselines.rema`: ReMA, with and without its masks; `piumar_lib.baselines.reclock`: clips
  resampled to other clips' clocks; `piumar_lib.baselines.weight_averaging`: the mean of the weights over
  training.
- Relatives of PIUmr, each from its description: `piumar_lib.baselines.hdf`,
  `piumar_lib.baselines.eris`, `piumar_lib.baselines.cfd`, `piumar_lib.baselines.mgsc`,
  `piumar_lib.baselines.daid`.

All of them are an `Objective`, a plug-in of `Recognizer`, or both; `piumar_lib.evidence.methods` has the
table of those that are compared.
"""
