// How many samples a tail needs before it can be believed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "proto/results.pb.h"

namespace regatta {

// The fewest samples that certify `quantile` with one of them above the bound: the smallest n with
// P(Binomial(n, 1 - quantile) <= 1) <= 1 % (64 for 0.9, 662 for 0.99). Source: MLPerf LoadGen,
// early stopping, c = 0.99 and tolerance 0.
uint32_t SamplesNeeded(double quantile);

// The sample's quantile, and the bound below which the true one lies with 99 % confidence if the
// samples are independent: with t the largest number for which P(Binomial(n, 1 - quantile) <= t)
// <= 1 %, the sample that t others exceed. No bound where t < 1.
CertifiedTail CertifyTail(const std::string& metric, double quantile, std::vector<double> samples);

}  // namespace regatta
