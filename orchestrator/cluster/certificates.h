// A test certificate authority and the certificates of one deployment, made with OpenSSL. For
// trying mTLS out; production brings its own.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace regatta {

struct CertificateOptions {
  std::vector<std::string> hosts;  // DNS names and IP addresses every certificate is valid for,
                                   // localhost and loopback included
  int days = 365;
};

// Writes ca.crt, ca.key and NAME.crt, NAME.key for router, worker, orchestrator and client into
// `dir`, which is created. Keys are EC P-256, readable by the owner only. ALREADY_EXISTS when
// ca.key is there: an authority is never replaced.
absl::Status InitCertificates(const std::string& dir, const CertificateOptions& options);

// Names and addresses that local use and the Kubernetes manifests need.
std::vector<std::string> DefaultCertificateHosts();

// Whether the first certificate of a PEM file is one for `host`, a DNS name or an IP address
// without brackets. False when it cannot be read.
bool CertificateCovers(const std::string& pem_file, const std::string& host);

}  // namespace regatta
