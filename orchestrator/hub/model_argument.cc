// See model_argument.h.
#include "orchestrator/hub/model_argument.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "orchestrator/hub/hub_cache.h"
#include "orchestrator/hub/pull.h"

namespace regatta {

absl::StatusOr<std::string> ResolveModel(const std::string& model, ModelParts parts,
                                         const std::atomic<bool>& stop) {
  std::error_code error;
  if (std::filesystem::exists(model, error) || !IsRepositoryId(model)) return model;
  PullOptions options;
  ASSIGN_OR_RETURN(options.hub, ReadHubSettings());
  options.repository = model;
  options.parts = parts;
  absl::StatusOr<std::string> cached = CachedSnapshot(options);
  if (cached.ok()) return cached;
  const absl::StatusOr<std::string> pulled = Pull(options, stop);
  if (pulled.ok() || absl::IsCancelled(pulled.status())) return pulled;
  return absl::Status(pulled.status().code(),
                      absl::StrCat(pulled.status().message(), " ('", model,
                                   "' is no directory here, so the Hub was asked)"));
}

}  // namespace regatta
