// Whether a model on this disk can be launched: everything that workers and router would find wrong
// with its files, found before any is started.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "orchestrator/cluster/cluster_options.h"

namespace regatta {

// Reads configuration and tokenizer, where there is one, and the headers of the weights unless they
// are dummies; `options.model` is a directory. INVALID_ARGUMENT, NOT_FOUND and
// UNIMPLEMENTED name the file, what is wrong with it, and for files that are missing or broken how
// to get whole ones.
absl::Status CheckModelFiles(const ClusterOptions& options);

// What an API of text needs besides: FAILED_PRECONDITION when `model_dir` has no tokenizer, an
// error with file, line and column when its chat template cannot be read. One without a template is
// fine.
absl::Status CheckTextFiles(const std::string& model_dir);

}  // namespace regatta
