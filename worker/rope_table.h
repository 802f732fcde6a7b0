// Cosines and sines of rotary embedding, made once on the host: the one place that knows the
// context extensions.
#pragma once

#include <vector>

#include "common/model_spec.h"

namespace regatta {

// The K / 2 angular frequencies of `rope` in radians per position, for even `head_dim` K:
//   default  f_i = theta^(-2i/K)                                          (Su et al. 2021)
//   linear   f_i / factor
//   llama3   f_i for short waves, f_i / factor for long ones, blended between (Llama 3.1)
//   yarn     the same idea with the blend linear in i                     (Peng et al. 2023)
// Source of the last two's details: transformers, modeling_rope_utils.py. Rounded to float32, as
// there.
std::vector<float> RopeFrequencies(const RopeSpec& rope, int head_dim);

// Float32 [max_position, head_dim], row p: cos(p f_i) for i < head_dim / 2, then sin(p f_i), each
// times yarn's attention factor. Angles are rounded to float32 like the frequencies: at position
// 100,000 that moves them by up to 0.004, and models were trained with those angles.
std::vector<float> MakeRopeTable(const RopeSpec& rope, int max_position, int head_dim);

}  // namespace regatta
