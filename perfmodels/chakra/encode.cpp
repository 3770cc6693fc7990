// SPDX-License-Identifier: Apache-2.0
// The two forms of a trace. Protobuf needs three things here: a varint (7 bits a byte, lowest
// first, the top bit says that more follow), a field (varint of number * 8 + wire type; type 0: a
// varint, type 2: a length and so many bytes), and messages, which are fields of type 2. Field
// numbers are those of et_def.proto; what is zero or empty is left out, as proto3 does.
#include <nlohmann/json.hpp>

#include "perfmodels/chakra/execution_trace.hpp"

namespace lockstep::chakra {

namespace {

// ---- Protobuf ----

class Message {
 public:
  void integer(int field, std::uint64_t value) {
    varint(static_cast<std::uint64_t>(field) << 3);
    varint(value);
  }
  void bytes(int field, const std::string& value) {
    varint(static_cast<std::uint64_t>(field) << 3 | 2);
    varint(value.size());
    bytes_ += value;
  }
  // Repeated integers of proto3 are packed: one field, their varints behind each other.
  void integers(int field, const std::vector<std::uint64_t>& values) {
    if (values.empty()) return;
    Message packed;
    for (const std::uint64_t value : values)
      packed.varint(value);
    bytes(field, packed.bytes_);
  }
  void varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7)
      bytes_ += static_cast<char>(value | 0x80);
    bytes_ += static_cast<char>(value);
  }
  const std::string& text() const { return bytes_; }

 private:
  std::string bytes_;
};

struct AttributeField {
  Message& message;
  // Negative numbers are ten bytes, as of an unsigned one of 64 bits.
  void operator()(std::int32_t v) const { message.integer(7, static_cast<std::uint64_t>(v)); }
  void operator()(std::int64_t v) const { message.integer(9, static_cast<std::uint64_t>(v)); }
  void operator()(std::uint64_t v) const { message.integer(13, v); }
  void operator()(bool v) const { message.integer(27, v); }
  void operator()(const std::string& v) const { message.bytes(29, v); }
};

std::string message_of(const Attribute& attribute) {
  Message message;
  message.bytes(1, attribute.name);
  std::visit(AttributeField{message}, attribute.value);
  return message.text();
}

std::string metadata_of(const ExecutionTrace& trace) {
  Message message;
  message.bytes(1, trace.version);
  for (const Attribute& a : trace.attributes)
    message.bytes(2, message_of(a));
  return message.text();
}

std::string message_of(const Node& node) {
  Message message;
  if (node.id > 0) message.integer(1, node.id);
  message.bytes(2, node.name);
  message.integer(3, static_cast<std::uint64_t>(node.type));
  message.integers(5, node.data_deps);
  if (node.start_micros > 0) message.integer(6, node.start_micros);
  if (node.duration_micros > 0) message.integer(7, node.duration_micros);
  for (const Attribute& a : node.attributes)
    message.bytes(10, message_of(a));
  return message.text();
}

// ---- JSON: numbers of 64 bits are text, names are in camel case ----

using Json = nlohmann::ordered_json;

struct AttributeJson {
  Json& json;
  void operator()(std::int32_t v) const { json["int32Val"] = v; }
  void operator()(std::int64_t v) const { json["int64Val"] = std::to_string(v); }
  void operator()(std::uint64_t v) const { json["uint64Val"] = std::to_string(v); }
  void operator()(bool v) const { json["boolVal"] = v; }
  void operator()(const std::string& v) const { json["stringVal"] = v; }
};

Json json_of(const std::vector<Attribute>& attributes) {
  Json all = Json::array();
  for (const Attribute& a : attributes) {
    Json one = {{"name", a.name}};
    std::visit(AttributeJson{one}, a.value);
    all.push_back(std::move(one));
  }
  return all;
}

Json json_of(const Node& node) {
  Json json = Json::object();
  if (node.id > 0) json["id"] = std::to_string(node.id);
  json["name"] = node.name;
  json["type"] = name_of(node.type);
  for (const std::uint64_t dep : node.data_deps)
    json["dataDeps"].push_back(std::to_string(dep));
  if (node.start_micros > 0) json["startTimeMicros"] = std::to_string(node.start_micros);
  if (node.duration_micros > 0) json["durationMicros"] = std::to_string(node.duration_micros);
  json["attr"] = json_of(node.attributes);
  return json;
}

}  // namespace

std::string to_protobuf(const ExecutionTrace& trace) {
  std::string all;
  const auto add = [&all](const std::string& message) {
    Message length;
    length.varint(message.size());
    all += length.text() + message;
  };
  add(metadata_of(trace));
  for (const Node& node : trace.nodes)
    add(message_of(node));
  return all;
}

std::string to_json(const ExecutionTrace& trace) {
  const Json metadata = {{"version", trace.version}, {"attr", json_of(trace.attributes)}};
  std::string all = metadata.dump(2) + "\n";
  for (const Node& node : trace.nodes)
    all += json_of(node).dump(2) + "\n";
  return all;
}

}  // namespace lockstep::chakra
