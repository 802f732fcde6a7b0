// An experiment over layouts (SweepReport.partition) in words and tables for a terminal.
#pragma once

#include <string>

#include "proto/results.pb.h"

namespace regatta {

// "tp2-dp2 fp8", the layout alone where the precision has no name.
std::string ContenderName(const std::string& layout, const std::string& precision);

// What became of a candidate: "swept", "dropped: at best 34 % below the others", "impossible: ...".
std::string FateOf(const PartitionCandidate& candidate);

// Measured throughput at the largest load that was measured in full, divided by the prior's; 0
// where there is none.
double MeasuredToPrior(const PartitionCandidate& candidate, const SweepReport& sweep);

// Every candidate with its prior and its fate, and what measurements make of the prior.
std::string CandidatesText(const SweepReport& sweep);

// One round: how far each layout stays below the others, and which go on.
std::string RoundText(const PartitionRound& round, double margin);

// "1479.0", ">= 812.3" where more load would give more, "not reached".
std::string SpeedCellText(const SpeedCell& cell);

// "up to 43.1", "43.1 to 87": the speeds of a winner.
std::string RangeText(const WinnerRange& range);

// Who wins there, and whether that is for certain.
std::string WinnerText(const WinnerRange& range);

// Throughput of each layout at the same speeds, and who wins at which speed. Empty without points.
std::string EqualSpeedText(const PartitionReport& partition);

}  // namespace regatta
