// The conversation with the officers: what waits, one request to be read, approve or reject. Shows what coldseald
// worded and sends back what was typed; decides nothing.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "appliance/console_protocol.hpp"
#include "appliance/terminal.hpp"
#include "crypto/base/result.hpp"

namespace appliance {

class ConsoleSession {
 public:
  // Errc::unavailable when coldseald does not answer at that socket.
  static base::Result<ConsoleSession> connect(const std::string& socket, Terminal& terminal);
  ConsoleSession(ConsoleSession&& other) noexcept;
  ConsoleSession& operator=(ConsoleSession&& other) noexcept;
  ~ConsoleSession();

  // Until the officers leave or the connection ends.
  base::Result<void> run();

 private:
  ConsoleSession(int socket, Terminal& terminal) : socket_(socket), terminal_(&terminal) {}
  base::Result<ConsoleAnswer> answer_to(const ConsoleQuestion& question);   // progress is shown on the way
  base::Result<ConsoleAnswer> receive();
  base::Result<std::vector<WaitingRequest>> show_waiting();
  base::Result<void> read_request(const WaitingRequest& request);
  base::Result<void> approve(const WaitingRequest& request);
  base::Result<void> enter_pins(const WaitingRequest* request, Approval approval);   // none: an act of administrators
  base::Result<void> put_right(bool unlock);   // or the TPM's lockout
  // Whether that was the end: false while an approval still goes on.
  base::Result<bool> reject(const WaitingRequest& request);
  // An officer's name and PIN; nullopt, having said why, when what was typed cannot be theirs.
  struct Credentials {
    std::string officer;
    base::SecretBytes pin;
  };
  base::Result<std::optional<Credentials>> ask_pin(std::string officer);
  void show_document(const Document& document);
  bool show_refusal(const ConsoleAnswer& answer);   // whether it was one
  int socket_ = -1;
  Terminal* terminal_ = nullptr;
};

}  // namespace appliance
