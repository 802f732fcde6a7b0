// What `regatta serve` says: what is served, how to ask it, how busy it is.
#pragma once

#include <cstdint>
#include <string>

#include "orchestrator/serve/serve.h"
#include "proto/cluster.pb.h"

namespace regatta {

// "http://127.0.0.1:8000"; a host that means every address becomes one that can be dialled.
std::string ServeUrl(const ServeOptions& options);

// URL, model, layout, limits, and a curl line that works: a chat when the model has a chat
// template, else a completion. `grpc_address` is the router's.
std::string ReadyText(const ServeOptions& options, const ClusterDescription& cluster,
                      const std::string& grpc_address);

// "3 running, 0 waiting, 812.4 tok/s, KV cache 34 % full, 120 requests done" between two states.
std::string LoadText(const ClusterState& before, const ClusterState& now);

// "1 of 2 copies of the model running", `before` ran when last seen. Where copies were lost with
// nobody re-forming the pool on purpose, also that `log_dir` and the router's last fault say why.
std::string CopiesText(uint32_t running, uint32_t before, uint32_t all, bool re_forming,
                       const std::string& log_dir, const std::string& fault);

}  // namespace regatta
