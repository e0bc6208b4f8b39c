// What `coldseal send` and `coldseal collect` share on a serial cable: the options of the line, Ctrl-C, and how they tell
// what happens: a bar with rate and time left for people, or one JSON object a line for programs (--json).
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/base/command_line.hpp"
#include "host-tool/terminal.hpp"
#include "crypto/signer.hpp"
#include "usb/files/parcel.hpp"
#include "usb/serial/transfer.hpp"

namespace host_tool {

struct SerialOptions {
  std::string device;
  serial::LineSettings line;
  unsigned patience = 60;   // seconds
  bool json = false;
};
base::CommandOption add_serial_options(base::Command& command, SerialOptions& options);   // the option of the device

struct KeyOptions {   // of the submitter, who alone is given responses
  std::string key;
  std::string pass_phrase_file;
};
base::CommandOption add_key_options(base::Command& command, KeyOptions& options, const std::string& description);
void add_wait_option(base::Command& command, unsigned& seconds, const std::string& description);

class SerialReport {
 public:
  SerialReport(const SerialOptions& options, std::string doing);
  SerialReport(const SerialReport&) = delete;
  SerialReport& operator=(const SerialReport&) = delete;
  ~SerialReport();
  // Valid as long as this. From here on SIGINT and SIGTERM are waited for, and end a transfer cleanly.
  serial::HostLink link();
  usb::OnProgress progress();
  // Of what is collected, and what is waited for, it tells as it happens.
  serial::Collecting collecting(crypto::Signer& submitter, const std::filesystem::path& out, std::vector<std::string> ids,
                                unsigned wait_seconds);
  void sent(const serial::Sent& one);
  void collected(const serial::Collected& one, const std::string& where);
  void listed(const serial::ListedRequest& one);
  // Says it as an event too, and that the next attempt goes on.
  base::Error failed(const base::Error& error);

 private:
  struct Shown;
  bool told_to_stop();
  const SerialOptions& options_;
  bool stopped_ = false;
  std::unique_ptr<Shown> shown_;
};

}  // namespace host_tool
