// Which files of a repository a model needs here, and whether a directory has them.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace regatta {

enum class ModelParts {
  kAll,
  kWithoutWeights,  // for planning, data sets and dummy weights
};

struct FileChoice {
  std::vector<std::string> needed;   // weights last
  std::vector<std::string> pickles;  // never fetched: reading one may run code
  std::vector<std::string> others;   // of no use here
};

// OK for a relative path of plain components: a server's word is not to write elsewhere.
// INVALID_ARGUMENT shows the name.
absl::Status CheckFileName(const std::string& name);

// Sorts the files of a repository. INVALID_ARGUMENT for a name that CheckFileName refuses;
// FAILED_PRECONDITION when there is no config.json, or no weights in safetensors.
absl::StatusOr<FileChoice> ChooseFiles(const std::vector<std::string>& names, ModelParts parts);

// Whether `directory` has a tokenizer.
bool HasTokenizer(const std::string& directory);

// Whether `directory` has a configuration, a tokenizer and, unless left out, every weights file
// that its index names.
bool HasParts(const std::string& directory, ModelParts parts);

}  // namespace regatta
