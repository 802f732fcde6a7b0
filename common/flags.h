// Command-line spelling shared by the programs: underscores and dashes in flag names are the same,
// as users of trtllm-bench expect.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/credentials.h"
#include "common/number_range.h"

namespace CLI {
class App;
class Validator;
}  // namespace CLI

namespace regatta {

// argv without the program name, in the reversed order that CLI::App::parse(std::vector) takes,
// with `_` turned into `-` in the names of long flags (values are left alone).
std::vector<std::string> NormalizeArguments(int argc, char** argv);

// For numbers in the range, which are refused in the words of NumberRange.
CLI::Validator InRange(const NumberRange& range);
CLI::Validator FiniteRange(double least, double most);
CLI::Validator WholeRange(int64_t least, int64_t most);

// The longest time that flags take, in seconds.
inline constexpr double kOneDayS = 86400;

// Adds --tls-cert, --tls-key, --tls-ca and --insecure.
void AddTlsFlags(CLI::App& app, TlsOptions& tls);

// Parses; prints help, version or an error that names the nearest known flag. Returns -1 to go on,
// else the exit code.
int ParseFlags(CLI::App& app, int argc, char** argv);

}  // namespace regatta
