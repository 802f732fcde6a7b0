// Rotary embedding of one pair (Su et al. 2021): the same bits wherever a head is rotated.
#pragma once

#include "kernels/cuda/element.cuh"

namespace regatta {

// Elements `low` and `high` of the two halves of a head, turned and rounded.
template <typename T>
__device__ void Rotate(float low, float high, float cosine, float sine, T& to_low, T& to_high) {
  to_low = Narrow<T>(fmaf(low, cosine, -(high * sine)));
  to_high = Narrow<T>(fmaf(high, cosine, low * sine));
}

}  // namespace regatta
