package kernels

var archTiers []archTier
