#include "appliance/console_protocol.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "crypto/base/byte_reader.hpp"
#include "crypto/base/byte_writer.hpp"
#include "crypto/base/limits.hpp"

namespace appliance {

using base::ByteReader;
using base::Bytes;
using base::ByteView;
using base::ByteWriter;
using base::Errc;
using base::fail;
using base::Result;

namespace {

enum class Kind : std::uint8_t {
  ask_list = 1,
  ask_request,
  begin_approval,
  enter_pin,
  reject_request,
  cancel_approval,
  look_at_tpm,
  begin_remedy,
  waiting_list = 65,
  document,
  approval,
  progress,
  done,
  refusal,
};

constexpr std::size_t kListItems = 5000;
constexpr std::size_t kTextBytes = 64U << 10;

ByteWriter message(Kind kind) {
  ByteWriter out;
  out.u8(static_cast<std::uint8_t>(kind));
  return out;
}

void put_text(ByteWriter& out, std::string_view text) {
  // Nothing an answer holds is meant to be longer; a bound here keeps the console's own check from ever tripping.
  out.put_counted(base::as_bytes(text.substr(0, kTextBytes)));
}

void put_list(ByteWriter& out, const std::vector<std::string>& list) {
  const std::size_t count = std::min(list.size(), kListItems);
  out.u32le(static_cast<std::uint32_t>(count));
  for (std::size_t i = 0; i < count; ++i) put_text(out, list[i]);
}

Result<std::string> take_text(ByteReader& in, std::size_t limit = kTextBytes) {
  const ByteView text = TRY(in.take_counted(limit));
  return std::string(base::as_text(text));
}

Result<std::uint32_t> take_count(ByteReader& in) {
  const std::uint32_t count = TRY(in.u32le());
  if (count > kListItems) return fail(Errc::too_large, fmt::format("list of {} items", count));
  return count;
}

Result<std::vector<std::string>> take_list(ByteReader& in) {
  const std::uint32_t count = TRY(take_count(in));
  std::vector<std::string> list;
  for (std::uint32_t i = 0; i < count; ++i) list.push_back(TRY(take_text(in)));
  return list;
}

// A question's fields, put behind one another into memory that is wiped.
base::SecretBytes secret_frame(Kind kind, std::initializer_list<ByteView> fields) {
  std::size_t size = 1;
  for (const ByteView field : fields) size += 4 + field.size();
  ByteWriter header;
  header.u32le(static_cast<std::uint32_t>(size)).u8(static_cast<std::uint8_t>(kind));
  base::SecretBytes frame(kFrameHeaderBytes + size);
  auto at = std::copy(header.bytes().begin(), header.bytes().end(), frame.writable().begin());
  for (const ByteView field : fields) {
    ByteWriter length;
    length.u32le(static_cast<std::uint32_t>(field.size()));
    at = std::copy(length.bytes().begin(), length.bytes().end(), at);
    at = std::copy(field.begin(), field.end(), at);
  }
  return frame;
}

struct QuestionEncoder {
  base::SecretBytes operator()(const AskList&) const { return secret_frame(Kind::ask_list, {}); }
  base::SecretBytes operator()(const AskRequest& ask) const {
    return secret_frame(Kind::ask_request, {base::as_bytes(ask.id)});
  }
  base::SecretBytes operator()(const BeginApproval& begin) const {
    return secret_frame(Kind::begin_approval, {base::as_bytes(begin.id)});
  }
  base::SecretBytes operator()(const EnterPin& enter) const {
    return secret_frame(Kind::enter_pin, {base::as_bytes(enter.officer), enter.pin.reveal()});
  }
  base::SecretBytes operator()(const RejectRequest& reject) const {
    return secret_frame(Kind::reject_request, {base::as_bytes(reject.id), base::as_bytes(reject.officer),
                                               reject.pin.reveal(), base::as_bytes(reject.reason)});
  }
  base::SecretBytes operator()(const CancelApproval&) const { return secret_frame(Kind::cancel_approval, {}); }
  base::SecretBytes operator()(const LookAtTpm&) const { return secret_frame(Kind::look_at_tpm, {}); }
  base::SecretBytes operator()(const BeginRemedy& begin) const {
    return secret_frame(Kind::begin_remedy, {base::as_bytes(begin.person)});
  }
};

struct AnswerEncoder {
  ByteWriter operator()(const WaitingList& list) const {
    ByteWriter out = message(Kind::waiting_list);
    put_text(out, list.banner);
    const std::size_t count = std::min(list.requests.size(), kListItems);
    out.u32le(static_cast<std::uint32_t>(count));
    for (std::size_t i = 0; i < count; ++i) {
      put_text(out, list.requests[i].id);
      put_text(out, list.requests[i].summary);
      put_text(out, list.requests[i].words);
    }
    return out;
  }
  ByteWriter operator()(const Document& document) const {
    ByteWriter out = message(Kind::document);
    out.u32le(static_cast<std::uint32_t>(document.sections.size()));
    for (const Section& section : document.sections) {
      put_text(out, section.heading);
      put_list(out, section.lines);
    }
    return out;
  }
  ByteWriter operator()(const Approval& approval) const {
    ByteWriter out = message(Kind::approval);
    put_list(out, approval.approved);
    out.u32le(approval.needed);
    put_list(out, approval.officers);
    out.u32le(approval.seconds_left).u32le(approval.signing_seconds);
    put_text(out, approval.words);
    put_list(out, approval.commands);
    return out;
  }
  ByteWriter operator()(const Progress& progress) const {
    ByteWriter out = message(Kind::progress);
    out.u32le(progress.done).u32le(progress.total);
    put_text(out, progress.what);
    return out;
  }
  ByteWriter operator()(const Done& done) const {
    ByteWriter out = message(Kind::done);
    put_text(out, done.text);
    return out;
  }
  ByteWriter operator()(const Refusal& refusal) const {
    ByteWriter out = message(Kind::refusal);
    put_text(out, refusal.text);
    out.u8(refusal.sitting_is_over ? 1 : 0);
    return out;
  }
};

Result<ConsoleQuestion> take_question(ByteReader& in) {
  const std::uint8_t kind = TRY(in.u8());
  switch (static_cast<Kind>(kind)) {
    case Kind::ask_list:
      return ConsoleQuestion(AskList{});
    case Kind::cancel_approval:
      return ConsoleQuestion(CancelApproval{});
    case Kind::look_at_tpm:
      return ConsoleQuestion(LookAtTpm{});
    case Kind::ask_request: {
      std::string id = TRY(take_text(in, base::limits::kNameBytes));
      return ConsoleQuestion(AskRequest{std::move(id)});
    }
    case Kind::begin_approval: {
      std::string id = TRY(take_text(in, base::limits::kNameBytes));
      return ConsoleQuestion(BeginApproval{std::move(id)});
    }
    case Kind::begin_remedy: {
      std::string person = TRY(take_text(in, base::limits::kNameBytes));
      return ConsoleQuestion(BeginRemedy{std::move(person)});
    }
    case Kind::enter_pin: {
      std::string officer = TRY(take_text(in, base::limits::kNameBytes));
      const ByteView pin = TRY(in.take_counted(base::limits::kPinBytes));
      return ConsoleQuestion(EnterPin{std::move(officer), base::SecretBytes::copy_of(pin)});
    }
    case Kind::reject_request: {
      std::string id = TRY(take_text(in, base::limits::kNameBytes));
      std::string officer = TRY(take_text(in, base::limits::kNameBytes));
      const ByteView pin = TRY(in.take_counted(base::limits::kPinBytes));
      std::string reason = TRY(take_text(in, base::limits::kNoteBytes));
      return ConsoleQuestion(
          RejectRequest{std::move(id), std::move(officer), base::SecretBytes::copy_of(pin), std::move(reason)});
    }
    default:
      return fail(Errc::malformed, fmt::format("console question of unknown kind {}", kind));
  }
}

Result<WaitingList> take_waiting_list(ByteReader& in) {
  WaitingList list;
  list.banner = TRY(take_text(in));
  const std::uint32_t count = TRY(take_count(in));
  for (std::uint32_t i = 0; i < count; ++i) {
    WaitingRequest request;
    request.id = TRY(take_text(in));
    request.summary = TRY(take_text(in));
    request.words = TRY(take_text(in));
    list.requests.push_back(std::move(request));
  }
  return list;
}

Result<ConsoleAnswer> take_answer(ByteReader& in) {
  const std::uint8_t kind = TRY(in.u8());
  switch (static_cast<Kind>(kind)) {
    case Kind::waiting_list: {
      WaitingList list = TRY(take_waiting_list(in));
      return ConsoleAnswer(std::move(list));
    }
    case Kind::document: {
      Document document;
      const std::uint32_t count = TRY(take_count(in));
      for (std::uint32_t i = 0; i < count; ++i) {
        Section section;
        section.heading = TRY(take_text(in));
        section.lines = TRY(take_list(in));
        document.sections.push_back(std::move(section));
      }
      return ConsoleAnswer(std::move(document));
    }
    case Kind::approval: {
      Approval approval;
      approval.approved = TRY(take_list(in));
      approval.needed = TRY(in.u32le());
      approval.officers = TRY(take_list(in));
      approval.seconds_left = TRY(in.u32le());
      approval.signing_seconds = TRY(in.u32le());
      approval.words = TRY(take_text(in, base::limits::kNameBytes));
      approval.commands = TRY(take_list(in));
      return ConsoleAnswer(std::move(approval));
    }
    case Kind::progress: {
      Progress progress;
      progress.done = TRY(in.u32le());
      progress.total = TRY(in.u32le());
      progress.what = TRY(take_text(in));
      return ConsoleAnswer(std::move(progress));
    }
    case Kind::done: {
      std::string text = TRY(take_text(in));
      return ConsoleAnswer(Done{std::move(text)});
    }
    case Kind::refusal: {
      std::string text = TRY(take_text(in));
      const std::uint8_t is_over = TRY(in.u8());
      if (is_over > 1) return fail(Errc::malformed, fmt::format("{} for yes or no", is_over));
      return ConsoleAnswer(Refusal{std::move(text), is_over == 1});
    }
    default:
      return fail(Errc::malformed, fmt::format("console answer of unknown kind {}", kind));
  }
}

}  // namespace

base::SecretBytes encode(const ConsoleQuestion& question) { return std::visit(QuestionEncoder{}, question); }

Bytes encode(const ConsoleAnswer& answer) {
  const ByteWriter payload = std::visit(AnswerEncoder{}, answer);
  ByteWriter frame;
  frame.put_counted(payload.bytes());
  return std::move(frame).bytes();
}

Result<ConsoleQuestion> decode_question(ByteView payload) {
  ByteReader in(payload);
  ConsoleQuestion question = TRY(take_question(in));
  TRY(in.expect_end());
  return question;
}

Result<ConsoleAnswer> decode_answer(ByteView payload) {
  ByteReader in(payload);
  ConsoleAnswer answer = TRY(take_answer(in));
  TRY(in.expect_end());
  return answer;
}

Result<std::size_t> payload_size(ByteView header, std::size_t limit) {
  ByteReader in(header);
  const std::uint32_t size = TRY(in.u32le());
  if (size > limit) return fail(Errc::too_large, fmt::format("console message of {} bytes, at most {}", size, limit));
  return static_cast<std::size_t>(size);
}

}  // namespace appliance
