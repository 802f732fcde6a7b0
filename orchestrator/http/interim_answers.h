// Answers that announce another one (RFC 9110, 15.2), which clients must pass over.
#pragma once

namespace regatta {

// Before one final answer; a server that sends more is not waited for.
inline constexpr int kMaxInterimAnswers = 16;

// 100 Continue, 103 Early Hints and their like. 101 is final: what follows it is no HTTP.
inline bool IsInterim(unsigned status) { return status / 100 == 1 && status != 101; }

}  // namespace regatta
