"""Values that everything else is said with: pictures, samples, rollouts, scores, and packs of groups.

Tensor and array names carry their axes as a suffix, here once for the whole code base:

    N  token of a packed stream         P  token of one prompt        T  token of one rollout's branch
    M  trained (sampled) token          B  rollout                    G  sibling within a group
    V  vocabulary                       K  picture                    A  position axis (1, or 3 for M-RoPE)
    L  live row of the sampler
"""
