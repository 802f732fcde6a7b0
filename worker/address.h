// Addresses that workers listen on, and the one line by which a worker tells its own.
#pragma once

#include <string>

namespace regatta {

// host:port with `offset` added to the port, unless that is 0 ("any port").
std::string AddressPlus(const std::string& address, int offset);
// The same host with another port.
std::string WithPort(const std::string& address, int port);

// Writes "listening on host:port" to stdout, and reads it back.
void PrintListeningLine(const std::string& address);
std::string ParseListeningLine(const std::string& line);

}  // namespace regatta
