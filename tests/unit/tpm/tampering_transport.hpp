// A transport in front of the real one that misbehaves at the n-th command: what a broken cable, a busy TPM or somebody
// on the bus does.
#pragma once

#include <tss2/tss2_tcti.h>
#include <tss2/tss2_tctildr.h>
#include <tss2/tss2_tpm2_types.h>

#include <algorithm>
#include <functional>
#include <string>
#include <utility>

#include "crypto/base/byte_reader.hpp"
#include "crypto/base/bytes.hpp"
#include "crypto/base/result.hpp"

namespace tpm {

enum class Fault { none, lost_command, lost_answer, garbled_answer, error_answer, truncated_answer, delayed_answer, replayed_answer, killed_before, killed_after };

inline std::uint32_t command_code(base::ByteView command) {
  base::ByteReader in(command.subspan(6));   // after tag and size
  return *in.u32be();
}

class TamperingTransport {
 public:
  explicit TamperingTransport(const std::string& tcti) {
    base::require(Tss2_TctiLdr_Initialize(tcti.c_str(), &real_) == TSS2_RC_SUCCESS, "no TPM at " + tcti);
    common_.v1.magic = 0x436f6c64;
    common_.v1.version = 2;
    common_.v1.transmit = transmit;
    common_.v1.receive = receive;
    common_.v1.finalize = [](TSS2_TCTI_CONTEXT*) {};
    common_.v1.cancel = [](TSS2_TCTI_CONTEXT*) -> TSS2_RC { return TSS2_TCTI_RC_NOT_IMPLEMENTED; };
    common_.v1.getPollHandles = [](TSS2_TCTI_CONTEXT*, TSS2_TCTI_POLL_HANDLE*, size_t*) -> TSS2_RC {
      return TSS2_TCTI_RC_NOT_IMPLEMENTED;
    };
    common_.v1.setLocality = [](TSS2_TCTI_CONTEXT*, uint8_t) -> TSS2_RC { return TSS2_TCTI_RC_NOT_IMPLEMENTED; };
    common_.makeSticky = [](TSS2_TCTI_CONTEXT*, TPM2_HANDLE*, uint8_t) -> TSS2_RC {
      return TSS2_TCTI_RC_NOT_IMPLEMENTED;
    };
    owner_ = this;
  }
  ~TamperingTransport() { Tss2_TctiLdr_Finalize(&real_); }
  TamperingTransport(const TamperingTransport&) = delete;
  TamperingTransport& operator=(const TamperingTransport&) = delete;

  TSS2_TCTI_CONTEXT* context() { return reinterpret_cast<TSS2_TCTI_CONTEXT*>(&shape_); }

  int commands = 0;                              // sent so far
  int fault_at = 0;                              // counted from 1; 0 for never
  std::uint32_t faulted_command = 0;             // what was sent then
  Fault fault = Fault::none;
  std::function<void(base::Bytes&)> alter;       // may change any command on its way
  std::function<void(std::uint32_t, base::Bytes&)> alter_answer;   // the same for answers, told the command
  std::function<void()> kill;                    // for the two that need it: SIGKILL for the TPM

 private:
  static TamperingTransport& self(TSS2_TCTI_CONTEXT* context) {
    return *reinterpret_cast<Shape*>(context)->owner;
  }
  static TSS2_TCTI_CONTEXT_COMMON_V1& v1(TSS2_TCTI_CONTEXT* context) {
    return *reinterpret_cast<TSS2_TCTI_CONTEXT_COMMON_V1*>(context);
  }
  static TSS2_RC transmit(TSS2_TCTI_CONTEXT* context, size_t size, const uint8_t* command) {
    TamperingTransport& t = self(context);
    ++t.commands;
    if (t.due()) t.faulted_command = command_code({command, size});
    if (t.due() && t.fault == Fault::lost_command) return TSS2_TCTI_RC_IO_ERROR;
    if (t.due() && t.fault == Fault::killed_before) t.kill();
    base::Bytes bytes(command, command + size);
    t.sent_ = bytes;
    if (t.alter) t.alter(bytes);
    return v1(t.real_).transmit(t.real_, bytes.size(), bytes.data());
  }
  static TSS2_RC receive(TSS2_TCTI_CONTEXT* context, size_t* size, uint8_t* response, int32_t timeout) {
    TamperingTransport& t = self(context);
    if (t.due() && t.fault == Fault::delayed_answer && response != nullptr && t.delays_left_-- > 0)
      return TSS2_TCTI_RC_TRY_AGAIN;   // what a transport says of a TPM that still works on it
    const TSS2_RC code = v1(t.real_).receive(t.real_, size, response, timeout);
    if (code != TSS2_RC_SUCCESS || response == nullptr) return code;
    const base::Bytes before = std::exchange(t.last_answer_, base::Bytes(response, response + *size));
    if (t.alter_answer) {
      base::Bytes altered(response, response + *size);
      t.alter_answer(command_code(t.sent_), altered);
      base::require(altered.size() <= *size, "an altered answer that is not longer");
      std::copy(altered.begin(), altered.end(), response);
      *size = altered.size();
    }
    if (!t.due()) return code;
    if (t.fault == Fault::killed_after) {
      t.kill();
      return TSS2_TCTI_RC_IO_ERROR;
    }
    if (t.fault == Fault::truncated_answer) {   // what lay in the buffer before is not the answer's other half
      std::fill(response + *size / 2, response + *size, uint8_t{0xee});
      *size /= 2;
    }
    if (t.fault == Fault::replayed_answer && !before.empty()) {   // somebody on the bus plays the answer to the command before
      std::copy(before.begin(), before.end(), response);
      *size = before.size();
    }
    if (t.fault == Fault::lost_answer) return TSS2_TCTI_RC_IO_ERROR;
    if (t.fault == Fault::garbled_answer && *size > 10)   // the header stays, for there to be an answer at all
      response[*size - 1] = static_cast<uint8_t>(response[*size - 1] ^ 0xff);
    if (t.fault == Fault::error_answer) {
      constexpr uint8_t kFailure[] = {0x80, 0x01, 0, 0, 0, 10, 0, 0, 0x01, 0x01};   // TPM_RC_FAILURE
      std::copy(std::begin(kFailure), std::end(kFailure), response);
      *size = sizeof kFailure;
    }
    return code;
  }
  bool due() const { return fault_at != 0 && commands == fault_at; }

  struct Shape {
    TSS2_TCTI_CONTEXT_COMMON_V2 common;
    TamperingTransport* owner;
  };
  Shape shape_{};
  TSS2_TCTI_CONTEXT_COMMON_V2& common_ = shape_.common;
  TamperingTransport*& owner_ = shape_.owner;
  TSS2_TCTI_CONTEXT* real_ = nullptr;
  base::Bytes last_answer_;
  base::Bytes sent_;
  int delays_left_ = 3;
};

}  // namespace tpm
