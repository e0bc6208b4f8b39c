#include "host-tool/http_post.hpp"

#include <utility>   // before Boost.Asio: its awaitable.hpp forgets std::exchange
// clang-format off
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
// clang-format on
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "crypto/base/limits.hpp"
#include "crypto/base/text.hpp"

namespace host_tool {

using base::Bytes;
using base::Errc;
using base::fail;
using base::printable;
using base::Result;
namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;

namespace {

constexpr std::string_view kQueryType = "application/timestamp-query";
constexpr std::string_view kReplyType = "application/timestamp-reply";
constexpr std::uint32_t kHeaderBytes = 16U << 10;

std::string_view view(beast::string_view text) { return {text.data(), text.size()}; }

Result<Bytes> body_of(const http::response<http::vector_body<std::uint8_t>>& reply) {
  const unsigned status = reply.result_int();
  if (status >= 300 && status < 400)
    return fail(Errc::unavailable, fmt::format("redirects to {}; redirects are not followed, give the address that you want",
                                               printable(view(reply[http::field::location]))));
  if (status != 200) return fail(Errc::unavailable, fmt::format("HTTP status {} {}", status, printable(view(reply.reason()))));
  std::string type = base::lower_ascii(view(reply[http::field::content_type]));
  type.resize(std::min(type.size(), type.find(';')));
  if (base::trim(type) != kReplyType)
    return fail(Errc::unavailable, fmt::format("content type \"{}\", {} wanted", printable(type), kReplyType));
  return Bytes(reply.body().begin(), reply.body().end());
}

class Exchange {   // one query and its reply, driven by callbacks until one of them says how it ended
 public:
  Exchange(const HttpUrl& url, base::ByteView query) : url_(url) {
    request_.method(http::verb::post);
    request_.target(url.target);
    request_.version(11);
    request_.set(http::field::host, url.port == "80" ? url.host : url.host + ":" + url.port);
    request_.set(http::field::user_agent, "coldseal/" COLDSEAL_VERSION);
    request_.set(http::field::content_type, beast::string_view(kQueryType.data(), kQueryType.size()));
    request_.set(http::field::accept, beast::string_view(kReplyType.data(), kReplyType.size()));
    request_.set(http::field::connection, "close");
    request_.body().assign(query.begin(), query.end());
    request_.prepare_payload();
    parser_.body_limit(base::limits::kTimestampBytes);
    parser_.header_limit(kHeaderBytes);
  }

  Result<Bytes> run(std::chrono::milliseconds patience) {
    look_up();
    io_.run_for(patience);
    if (ended_) return std::move(*ended_);
    return fail(Errc::unavailable, fmt::format("{} took longer than {} ms", doing_, patience.count()));
  }

 private:
  void look_up() {
    doing_ = "looking up the name";
    std::string host = url_.host;
    if (host.starts_with("[")) host = host.substr(1, host.size() - 2);
    resolver_.async_resolve(host, url_.port, [this](error_code error, const asio::ip::tcp::resolver::results_type& found) {
      if (failed(error)) return;
      doing_ = "connecting";
      stream_.async_connect(found, [this](error_code connect_error, const asio::ip::tcp::endpoint&) {
        if (!failed(connect_error)) send();
      });
    });
  }
  void send() {
    doing_ = "sending the query";
    http::async_write(stream_, request_, [this](error_code error, std::size_t) {
      if (!failed(error)) receive();
    });
  }
  void receive() {
    doing_ = "waiting for the reply";
    http::async_read(stream_, buffer_, parser_, [this](error_code error, std::size_t) {
      if (error == http::error::body_limit) {
        ended_ = Result<Bytes>(fail(Errc::too_large, fmt::format("reply of over {} bytes", base::limits::kTimestampBytes)));
        return;
      }
      if (!failed(error)) ended_ = body_of(parser_.get());
    });
  }
  bool failed(error_code error) {
    if (error) ended_ = Result<Bytes>(fail(Errc::unavailable, fmt::format("{}: {}", doing_, error.message())));
    return static_cast<bool>(error);
  }

  const HttpUrl& url_;
  std::string doing_;
  std::optional<Result<Bytes>> ended_;
  http::request<http::vector_body<std::uint8_t>> request_;
  http::response_parser<http::vector_body<std::uint8_t>> parser_;
  beast::flat_buffer buffer_{kHeaderBytes + base::limits::kTimestampBytes};
  asio::io_context io_;   // goes first: cancelled callbacks are dropped while what they refer to is still there
  asio::ip::tcp::resolver resolver_{io_};
  beast::tcp_stream stream_{io_};
};

}  // namespace

Result<HttpUrl> HttpUrl::parse(std::string_view text) {
  const auto wrong = [&](std::string_view why) {
    return fail(Errc::usage, fmt::format("{}: {}; http://HOST[:PORT][/PATH] wanted", printable(text), why));
  };
  const std::string lower = base::lower_ascii(text);
  if (lower.starts_with("https://"))
    return fail(Errc::usage, fmt::format("{}: there is no TLS in coldseal, and a timestamp needs none: it is signed. Give the "
                                         "authority's http address, or carry the query with --queries and --replies",
                                         printable(text)));
  if (!lower.starts_with("http://")) return wrong("not an http address");
  if (std::any_of(text.begin(), text.end(), [](char c) { return c <= ' ' || c > '~'; }))
    return wrong("characters that are not printable ASCII");
  std::string_view rest = text.substr(7);
  HttpUrl url;
  url.text = text;
  const std::size_t authority_size = std::min(rest.find_first_of("/?#"), rest.size());
  std::string_view authority = rest.substr(0, authority_size);
  url.target = rest.substr(authority_size, rest.find('#') - authority_size);
  if (!url.target.starts_with("/")) url.target.insert(0, "/");
  if (authority.find('@') != std::string_view::npos) return wrong("a user name, which would go over the network in clear");
  const std::size_t bracket = authority.rfind(']');
  const std::size_t colon = authority.rfind(':');
  const bool has_port = colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket);
  url.host = authority.substr(0, has_port ? colon : authority.size());
  url.port = has_port ? std::string(authority.substr(colon + 1)) : "80";
  const bool is_bracketed = url.host.starts_with("[") && url.host.ends_with("]") && url.host.size() > 2;
  if (url.host.empty() || (!is_bracketed && url.host.find_first_of("[]:") != std::string::npos)) return wrong("no host");
  const bool is_number = !url.port.empty() && url.port.size() <= 5 &&
                         std::all_of(url.port.begin(), url.port.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!is_number || std::stoul(url.port) == 0 || std::stoul(url.port) > 65535) return wrong("no port");
  return url;
}

Result<Bytes> post_timestamp_query(const HttpUrl& url, base::ByteView query, std::chrono::milliseconds patience) {
  return base::within(url.text, Exchange(url, query).run(patience));
}

}  // namespace host_tool
