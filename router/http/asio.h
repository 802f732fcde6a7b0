// Names of Boost.Asio as this folder uses it: one event loop per thread, known by its type.
#pragma once

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/system/error_code.hpp>

namespace regatta {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
// Of one thread's loop; cheaper than sockets of any executor.
using Socket = asio::basic_stream_socket<tcp, asio::io_context::executor_type>;

}  // namespace regatta
