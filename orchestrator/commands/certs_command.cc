// `regatta certs init DIR`: a test authority and certificates for mTLS between router, workers and
// clients.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "common/status_macros.h"
#include "orchestrator/cluster/certificates.h"
#include "orchestrator/commands/commands.h"

namespace regatta {
namespace {

absl::Status Init(const std::string& dir, const CertificateOptions& options) {
  RETURN_IF_ERROR(InitCertificates(dir, options));
  const auto flags = [&dir](const char* name) {
    return std::string("--tls-cert ") + dir + "/" + name + ".crt --tls-key " + dir + "/" + name +
           ".key --tls-ca " + dir + "/ca.crt";
  };
  std::cout << "Wrote a test authority and four certificates to " << dir << ", valid for "
            << options.days << " days:\n"
            << "  regatta-worker " << flags("worker") << "\n"
            << "  regatta-router " << flags("router") << "\n"
            << "  regatta orchestrator " << flags("orchestrator") << "\n"
            << "  regatta sweep  " << flags("client") << "\n"
            << "Keep " << dir << "/ca.key off the hosts that serve.\n";
  return absl::OkStatus();
}

}  // namespace

void AddCertsCommand(CLI::App& app, CommandContext& context) {
  CLI::App& command = *app.add_subcommand("certs", "Makes certificates for trying mTLS out.");
  command.require_subcommand(1);
  CLI::App& init = *command.add_subcommand(
      "init",
      "Writes a test authority and certificates for router, worker, orchestrator and client.");
  auto dir = std::make_shared<std::string>();
  auto options = std::make_shared<CertificateOptions>();
  auto hosts = std::make_shared<std::vector<std::string>>();
  init.add_option("dir", *dir, "directory to create")->required();
  init.add_option("--host", *hosts,
                  "further DNS name or IP address that the certificates are valid for; repeatable");
  init.add_option("--days", options->days, "validity")->capture_default_str();
  init.footer(
      "Examples:\n"
      "  regatta certs init certs\n"
      "  regatta certs init certs --host gpu-1.example.com --host 10.0.0.7");
  init.callback([dir, options, hosts, &context] {
    options->hosts = DefaultCertificateHosts();
    options->hosts.insert(options->hosts.end(), hosts->begin(), hosts->end());
    context.chosen = [dir, options] { return ExitCodeOf(Init(*dir, *options)); };
  });
}

}  // namespace regatta
