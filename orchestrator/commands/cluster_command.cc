// `regatta cluster`: shows a running cluster, changes its layout, drains it.
#include <CLI/CLI.hpp>
#include <cmath>
#include <iostream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "common/flags.h"
#include "common/grpc_deadline.h"
#include "common/grpc_status.h"
#include "common/layout.h"
#include "common/status_macros.h"
#include "orchestrator/cluster/cluster_client.h"
#include "orchestrator/cluster/cluster_text.h"
#include "orchestrator/commands/commands.h"
#include "orchestrator/grpc/channel.h"
#include "proto/cluster.grpc.pb.h"

namespace regatta {
namespace {

constexpr absl::Duration kRouterConnectTimeout = absl::Seconds(10);
constexpr absl::Duration kRouterTimeout = absl::Seconds(10);  // beyond what the router may take

struct ClusterFlags {
  std::string url;
  TlsOptions tls;
  uint32_t tp = 1, pp = 1, ep = 1, dp = 1;
  bool keep_limits = false;
  double timeout_s = 120;
  double deadline_s = 30;
};

absl::StatusOr<std::shared_ptr<grpc::Channel>> Dial(const ClusterFlags& flags) {
  ASSIGN_OR_RETURN(const std::string address, AddressOfUrl(flags.url));
  return Connect(address, flags.tls, kRouterConnectTimeout);
}

absl::Status PrintDescription(const ClusterFlags& flags) {
  ASSIGN_OR_RETURN(const auto channel, Dial(flags));
  ASSIGN_OR_RETURN(const ClusterDescription cluster, DescribeCluster(channel, kRouterTimeout));
  std::cout << ClusterText(cluster);
  return absl::OkStatus();
}

absl::Status PrintHealth(const ClusterFlags& flags) {
  ASSIGN_OR_RETURN(const auto channel, Dial(flags));
  RETURN_IF_ERROR(CheckHealth(channel, kRouterTimeout));
  std::cout << "serving\n";
  return absl::OkStatus();
}

absl::Status RepartitionPool(const ClusterFlags& flags) {
  RepartitionRequest request;
  ASSIGN_OR_RETURN(*request.mutable_layout(), MakeLayout(flags.tp, flags.pp, flags.ep, flags.dp));
  request.set_keep_limits(flags.keep_limits);
  request.set_timeout_ms(static_cast<uint32_t>(std::lround(flags.timeout_s * 1e3)));
  ASSIGN_OR_RETURN(const auto channel, Dial(flags));
  std::string last;
  const absl::Status status =
      Repartition(channel, request, [&](const RepartitionProgress& progress) {
        const std::string text = RepartitionText(progress);
        if (text != last) std::cout << text << std::flush;
        last = text;
      });
  // A router that is busy with another layout is no bad input.
  return absl::IsFailedPrecondition(status) ? absl::AbortedError(status.message()) : status;
}

absl::Status DrainCluster(const ClusterFlags& flags) {
  ASSIGN_OR_RETURN(const auto channel, Dial(flags));
  DrainRequest request;
  request.set_deadline_ms(static_cast<uint32_t>(std::lround(flags.deadline_s * 1e3)));
  grpc::ClientContext context;
  SetDeadline(context, absl::Seconds(flags.deadline_s) + kRouterTimeout);
  DrainResponse response;
  RETURN_IF_ERROR(FromGrpc(Cluster::NewStub(channel)->Drain(&context, request, &response)));
  std::cout << response.completed() << " requests completed, " << response.cancelled()
            << " cancelled at the deadline; the router admits no more\n";
  return absl::OkStatus();
}

using ClusterAction = absl::Status (*)(const ClusterFlags&);

// A subcommand of `cluster` with the flags that all of them take.
CLI::App& AddAction(CLI::App& cluster, const char* name, const char* text, ClusterAction action,
                    const std::shared_ptr<ClusterFlags>& flags, CommandContext& context) {
  CLI::App& command = *cluster.add_subcommand(name, text);
  command.add_option("--url", flags->url, "grpc://HOST:PORT of the router")->required();
  AddTlsFlags(command, flags->tls);
  command.callback([action, flags, &context] {
    context.chosen = [action, flags] { return ExitCodeOf(action(*flags)); };
  });
  return command;
}

void AddRepartition(CLI::App& cluster, const std::shared_ptr<ClusterFlags>& flags,
                    CommandContext& context) {
  CLI::App& command = AddAction(
      cluster, "repartition",
      "Gives the pool another layout while it serves: live requests pause and go on. A layout "
      "that does not fit is refused and the running one kept. Goes on when this command ends.",
      RepartitionPool, flags, context);
  CLI::Option_group& layout =
      *command.add_option_group("Layout", "what is not given is 1; at least one must be");
  const auto add = [&](const char* name, uint32_t& value, const char* text) {
    layout.add_option(name, value, text)->check(WholeRange(1, kMaxRanks));
  };
  add("--tp", flags->tp, "tensor parallel ranks");
  add("--pp", flags->pp, "pipeline stages");
  add("--ep", flags->ep, "expert parallel ranks; divides --tp");
  add("--dp", flags->dp, "independent copies of the model");
  layout.require_option(1, 0);
  command.add_flag("--keep-limits", flags->keep_limits,
                   "the limits of now, instead of those derived for the new layout");
  command
      .add_option("--timeout", flags->timeout_s,
                  "seconds that the layout may take to form; the old one gets as many "
                  "when it fails")
      ->check(FiniteRange(1.0, 3600.0))
      ->capture_default_str();
}

}  // namespace

void AddClusterCommand(CLI::App& app, CommandContext& context) {
  CLI::App& cluster = *app.add_subcommand("cluster", "Shows and changes a running cluster.");
  cluster.require_subcommand(1);
  // Its commands inherit the footer as it is when they are added.
  cluster.footer(
      std::string("Examples:\n"
                  "  regatta cluster describe --url grpc://127.0.0.1:9000\n"
                  "  regatta cluster repartition --url grpc://127.0.0.1:9000 --tp 1 --dp 4\n"
                  "  regatta cluster drain --url grpc://router:9000 --deadline 60 --tls-ca ca.pem "
                  "--tls-cert client.pem --tls-key client.key\n") +
      kExitCodesHelp);
  auto flags = std::make_shared<ClusterFlags>();
  AddAction(cluster, "describe",
            "Prints model, layout, limits and how they were derived, groups and workers.",
            PrintDescription, flags, context);
  AddAction(cluster, "health", "Succeeds when the router serves; for readiness probes.",
            PrintHealth, flags, context);
  AddRepartition(cluster, flags, context);
  AddAction(cluster, "drain",
            "Admits no more requests; waits for the running ones, then cancels what is left.",
            DrainCluster, flags, context)
      .add_option("--deadline", flags->deadline_s, "seconds that running requests get")
      ->check(FiniteRange(0.0, 3600.0))
      ->capture_default_str();
}

}  // namespace regatta
