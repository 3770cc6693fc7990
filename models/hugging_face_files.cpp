// SPDX-License-Identifier: Apache-2.0
#include "models/hugging_face_files.hpp"

#include <algorithm>
#include <filesystem>
#include <map>

#include "models/hugging_face.hpp"
#include "models/registry.hpp"
#include "runtime/base/file.hpp"
#include "runtime/base/half.hpp"
#include "runtime/checkpoint/folder.hpp"
#include "runtime/checkpoint/whole.hpp"

namespace lockstep {

namespace fs = std::filesystem;

namespace {

// rows x columns, to columns x rows.
std::vector<float> transposed(const float* x, std::int64_t rows, std::int64_t columns) {
  std::vector<float> y(static_cast<std::size_t>(rows * columns));
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = 0; c < columns; ++c)
      y[static_cast<std::size_t>(c * rows + r)] = x[r * columns + c];
  }
  return y;
}

ModelSection model_in(const Manifest& m, const std::string& checkpoint) {
  return parse_job(m.job, checkpoint + ": its job").model;
}

// ---- reading theirs

// All .safetensors files of the directory: large models come in several.
std::vector<SafetensorsFile> open_theirs(const std::string& directory) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(directory)) {
    if (entry.path().extension() == ".safetensors") names.push_back(entry.path().string());
  }
  std::sort(names.begin(), names.end());
  std::vector<SafetensorsFile> files;
  for (const std::string& name : names)
    files.push_back(SafetensorsFile::open(name));
  if (files.empty()) throw ConfigError(directory + ": holds no .safetensors file");
  return files;
}

template <class Half>
std::vector<float> widened(const std::vector<Half>& values) {
  std::vector<float> wide;
  for (const Half& value : values)
    wide.push_back(static_cast<float>(value));
  return wide;
}

std::vector<float> floats_of(const SafetensorsFile& file, const std::string& name) {
  switch (file.dtype(name)) {
    case DType::float32:
      return file.values(name);
    case DType::bfloat16:
      return widened(file.values<BFloat16>(name));
    case DType::float16:
      return widened(file.values<Float16>(name));
    default:
      throw ConfigError(file.path() + ": '" + name + "' holds " + name_of(file.dtype(name)) +
                        "; float32, bfloat16 and float16 are read");
  }
}

std::string without_prefix(const std::string& name) {
  const std::string_view prefix = kGptPrefix;
  return name.starts_with(prefix) ? name.substr(prefix.size()) : name;
}

std::vector<float> theirs_of(const std::vector<SafetensorsFile>& files, const TheirTensor& t,
                             const std::string& directory) {
  for (const SafetensorsFile& file : files) {
    for (const std::string& name : {t.theirs, without_prefix(t.theirs)}) {
      if (!file.contains(name)) continue;
      if (file.shape(name) != Shape(t.dims)) {
        throw ConfigError(file.path() + ": '" + name + "' is " + file.shape(name).text() +
                          ", but config.json means " + Shape(t.dims).text());
      }
      return floats_of(file, name);
    }
  }
  throw ConfigError(directory + ": has no tensor '" + t.theirs + "'");
}

std::map<std::string, Dims> our_parameters(const ModelSection& model) {
  const auto device = make_dry_device();
  const auto built = make_model(model, *device, 0);
  std::map<std::string, Dims> all;
  for (const Parameter* p : parameters_of(*built)) {
    for (int i = 0; i < p->value.shape().rank(); ++i)
      all[p->name].push_back(p->value.shape()[i]);
  }
  return all;
}

}  // namespace

bool is_hugging_face(const std::string& directory) {
  std::error_code ignored;
  return fs::exists(directory + "/config.json", ignored);
}

std::size_t export_hugging_face(const std::string& checkpoint, const std::string& to) {
  const Manifest m = read_manifest(checkpoint);
  const ModelSection model = model_in(m, checkpoint);
  CheckpointReader reader(checkpoint, m);
  const auto device = make_cpu_device();
  std::vector<std::vector<float>> values;
  std::vector<NamedBytes> tensors;
  for (const TheirTensor& t : hugging_face_tensors(model)) {
    const auto found = m.parameters.find(t.ours);
    if (found == m.parameters.end()) throw ConfigError(checkpoint + ": has no " + t.ours);
    const Tensor ours = whole_tensor(reader, "value", t.ours, found->second, *device);
    const Shape shape(t.dims);
    const std::int64_t columns = matrix_of(found->second).columns;
    const float* from = ours.data() + t.first_row * columns;
    values.push_back(t.transposed ? transposed(from, t.dims[1], t.dims[0])
                                  : std::vector<float>(from, from + shape.count()));
    tensors.push_back({t.theirs, DType::float32, shape, {}});
  }
  for (std::size_t i = 0; i < tensors.size(); ++i)
    tensors[i].bytes = std::as_bytes(std::span(values[i]));
  NewDirectory made(to);
  write_safetensors(made / "model.safetensors", tensors, {{"format", "pt"}});
  write_file(made / "config.json", hugging_face_config(model));
  made.finish();
  return tensors.size();
}

std::size_t import_hugging_face(const std::string& from, const std::string& to,
                                const std::string& program) {
  const ModelSection model = model_of_hugging_face(read_text(from + "/config.json"));
  const auto files = open_theirs(from);
  const auto device = make_cpu_device();
  std::map<std::string, Tensor> ours;
  Manifest head;
  head.parameters = our_parameters(model);
  for (const auto& [name, dims] : head.parameters)
    ours[name] = Tensor::empty(*device, {matrix_of(dims).count()});
  for (const TheirTensor& t : hugging_face_tensors(model)) {
    std::vector<float> values = theirs_of(files, t, from);
    if (t.transposed) values = transposed(values.data(), t.dims[0], t.dims[1]);
    const std::int64_t columns = matrix_of(head.parameters.at(t.ours)).columns;
    std::copy(values.begin(), values.end(), ours.at(t.ours).data() + t.first_row * columns);
  }
  std::vector<HeldPiece> pieces;
  for (const auto& [name, dims] : head.parameters)
    pieces.push_back({name, dims, {matrix_of(dims)}, {{"value", ours.at(name)}}});
  JobConfig job;
  job.model = model;
  head.program = program;
  head.optimizer = "none";
  head.sequence = model.sequence;
  head.job = to_toml(job);
  write_whole(to, head, pieces);
  return pieces.size();
}

}  // namespace lockstep
