// Every kernel of amlm: its name, arguments, grid and what it computes. The argument structs are the kernarg layout
// (little endian, natural alignment); tests/kernels/abi checks each field against the assembly's own offsets.
//
// Words: rows = output features (ne[1] of the tensor), columns = input features (ne[0], contiguous), tokens = batch.
// Activations between kernels are f16 where a matrix reads them and f32 on the residual stream.
#pragma once

#include <span>
#include <string_view>

#include "driver/base.h"

namespace amlm::kernels {

// The code object with all kernels, linked into the binary.
std::span<const u8> code_object();

// Weight types in kernel names: "f32", "f16", "bf16", "q8_0", "q4_0", "q4_k", "q6_k".
enum class WeightType : u8 { f32, f16, bf16, q8_0, q4_0, q4_k, q6_k };
std::string_view name(WeightType type);

// A weight matrix in GPU memory. Block-quantized types are split at load into planes, so that every load is aligned;
// a plane holds all rows, row after row, and starts on 256 bytes. Total size equals the GGUF tensor's (plus padding).
//   f32, f16, bf16: plane[0] = values [rows][columns]
//   q8_0: plane[0] = u8 q + 128 [rows][columns];            plane[1] = f16 scale [rows][columns/32]
//         (the sign bit flipped at load, so that kernels need not)
//   q4_0: plane[0] = nibbles, GGUF order in each block:     plane[1] = f16 scale [rows][columns/32]
//         16 bytes a block, byte j = element j | element j+16 << 4
//   q4_k: plane[0] = GGUF blocks of 144 bytes as they are [rows][columns/256]
//   q6_k: plane[0] = ql 128 bytes a block; plane[1] = qh 64 bytes a block; plane[2] = i8 scales 16 bytes a block;
//         plane[3] = f16 d, 2 bytes a block               (blocks of 256, GGUF order inside each part)
// Columns are a multiple of 32, of 256 for q4_k and q6_k. Rows are any number >= 1 (kernels guard odd rows).
struct Matrix { u64 plane[4] = {}; };

// The state block: what changes from token to token. Read and written by kernels; the decode IB never changes.
struct State {
  u32 position;        // of the token being decoded: it attends to positions 0..position
  u32 token;           // its id: decode's input, written by `argmax_final` or by the CPU (sampling)
  u32 reserved[6];
};

inline constexpr u32 decode_split_tokens = 256;  // a split of attn_decode is a multiple of this many KV positions
inline constexpr u32 decode_max_splits = 16;     // `splits` of AttnDecodeArgs and AttnOutArgs: 1 to this
inline constexpr u32 gemv_group_rows = 32;       // rows one workgroup of qkv, attn_out, down and logits handles
inline constexpr u32 gate_up_group_rows = 16;    // rows one workgroup of gate_up handles, of both matrices
inline constexpr u32 gemm_group_rows = 64;       // one workgroup of a gemm: 64 rows of 128 tokens
inline constexpr u32 gemm_group_tokens = 128;
inline constexpr u32 attn_group_tokens = 64;     // query tokens one workgroup of attn_prefill handles

// --- Decode: one token. All take the token from State. -------------------------------------------------------------

// embed_<type>: x[t][i] = table[tokens[t]][i], as f32. Also prefill's first kernel.
// Grid: {tokens, 1, 1}.
struct EmbedArgs {
  Matrix table;
  u64 tokens;          // u32[tokens]; decode passes the address of State::token
  u64 x;               // f32[tokens][columns]
  u32 columns;
  u32 rows;            // ids >= rows read row 0
};

// qkv_<type>: RMSNorm of x, then q, k, v = W * norm(x) + RoPE on q and k; k and v go into the cache at State::position.
// One dispatch covers the matrices of one type; several types = several dispatches with no barrier between.
// Segments are in rows, each a multiple of head_size; RoPE turns pairs (2i, 2i+1); a segment with rows 0 is absent.
// Grid: {ceil(q_rows/32) + ceil(k_rows/32) + ceil(v_rows/32), 1, 1}.
struct QkvArgs {
  Matrix wq, wk, wv;
  u64 x;               // f32[columns]
  u64 norm_weight;     // f32[columns]
  u64 rope;            // f32[context][head_size/2][2]: cos, sin of each pair (scaling already in it)
  u64 state;           // State
  u64 q;               // f16[q_rows], already multiplied by 1/sqrt(head_size)
  u64 k_cache;         // f16[kv_heads][context][head_size] of this layer
  u64 v_cache;         // f16[kv_heads][context][head_size] of this layer
  u32 columns;
  u32 q_rows, k_rows, v_rows;
  u32 head_size;       // any multiple of 32 up to 256
  u32 context;
  f32 epsilon;
  u32 padding;
};

// attn_decode: for one query head and one split of the positions: scores, running maximum, sum, weighted V.
// A split is 256 * ceil((position / 256 + 1) / splits) positions; those past State::position end at once, having
// written nothing. attn_out reads as many splits as there are.
// Grid: {heads, splits, 1} with splits = min(ceil(context / 256), decode_max_splits).
struct AttnDecodeArgs {
  u64 q;               // f16[heads][head_size]
  u64 k_cache, v_cache;
  u64 state;
  u64 partial_out;     // f32[heads][splits][head_size], not yet divided by the sum
  u64 partial_stat;    // f32[heads][splits][2]: maximum of score * log2(e), sum
  u32 heads, kv_heads, head_size, context, splits, padding;
};

// attn_out_<type>: combines the splits (as many as State::position needs), then x += Wo * attention.
// Grid: {ceil(rows/32), 1, 1}.
struct AttnOutArgs {
  Matrix wo;           // [rows = n_embd][columns = heads*head_size]
  u64 partial_out, partial_stat;
  u64 state;
  u64 x;               // f32[rows], updated in place
  u32 rows, columns, heads, head_size, splits, padding;
};

// gate_up_<type>: h = silu(Wg * norm(x)) * (Wu * norm(x)), as f16, held at +-65504.
// Grid: {ceil(rows/16), 1, 1}.
struct GateUpArgs {
  Matrix wg, wu;
  u64 x, norm_weight;
  u64 h;               // f16[rows]
  u32 rows, columns;
  f32 epsilon;
  u32 padding;
};

// down_<type>: x += W * h.  Grid: {ceil(rows/32), 1, 1}.
struct DownArgs {
  Matrix w;
  u64 h;               // f16[columns]
  u64 x;               // f32[rows], updated in place
  u32 rows, columns;
};

// logits_<type>: logits = W * norm(x), and each workgroup's best row for the greedy choice.
// Grid: {ceil(rows/32), 1, 1}.
struct LogitsArgs {
  Matrix w;
  u64 x, norm_weight;
  u64 logits;          // f32[rows]
  u64 best;            // {f32 value, u32 row}[ceil(rows/32)]; ties: the lower row; NaN never wins
  u32 rows, columns;
  f32 epsilon;
  u32 padding;
};

// argmax_final: the best of `best` becomes State::token, State::position grows by one, and the token is appended:
// tokens[State::position] (after growing) = token.  Grid: {1, 1, 1}.
struct ArgmaxFinalArgs {
  u64 best;
  u64 state;
  u64 tokens;          // u32[context + 1]; nothing is written at or past `capacity`
  u32 count;           // entries of best
  u32 capacity;
};

// --- Prefill: a batch of tokens at positions first_position .. first_position + tokens - 1
// -------------------------------

// rmsnorm_f16: y[t] = x[t] / rms(x[t]) * weight, as f16.  Grid: {tokens, 1, 1}.
struct RmsnormArgs {
  u64 x;               // f32[tokens][columns]
  u64 weight;          // f32[columns]
  u64 y;               // f16[tokens][columns]
  u32 columns;
  f32 epsilon;
};

// gemm_<type>_<epilogue>: WMMA; C[t][r] = sum over columns of a[t][c] * W[r][c].
//   store:  c f32[tokens][row_stride] = C          add:    c f32 += C
// Grid: {ceil(rows/64), ceil(tokens/128), 1}. Rows and tokens past the end are neither read nor written.
struct GemmArgs {
  Matrix w;
  u64 a;               // f16[tokens][columns]
  u64 c;
  u32 rows, columns, tokens;
  u32 row_stride;      // elements between tokens of c
};

// swiglu_f16: h[t][i] = silu(gate_up[t][i]) * gate_up[t][rows + i], as f16, held at +-65504.
// Grid: {ceil(rows/256), tokens, 1}. Rows are a multiple of 4 (of 32 in practice: they are the columns of the next matrix).
struct SwigluArgs {
  u64 gate_up;         // f32[tokens][2 * rows]
  u64 h;               // f16[tokens][rows]
  u32 rows, padding;
};

// rope_kv: RoPE on q and k of qkv[t], scale on q; q to f16, k and v into the cache. Grid: {tokens, 1, 1}.
struct RopeKvArgs {
  u64 qkv;             // f32[tokens][(heads + 2*kv_heads) * head_size]
  u64 rope;            // as QkvArgs
  u64 q;               // f16[tokens][heads * head_size], already multiplied by 1/sqrt(head_size)
  u64 k_cache, v_cache;
  u32 heads, kv_heads, head_size, context;
  u32 first_position;
  u32 padding;
};

// attn_prefill_<head_size>, head_size 32, 64, 96 or 128: causal attention of a batch over the cache, WMMA, streaming
// softmax.
// Grid: {heads, ceil(tokens/64), 1}: one workgroup handles 64 query tokens of a head.
struct AttnPrefillArgs {
  u64 q;               // f16[tokens][heads * head_size]
  u64 k_cache, v_cache;
  u64 out;             // f16[tokens][heads * head_size]
  u32 heads, kv_heads, head_size, context;
  u32 first_position, tokens;
};

}  // namespace amlm::kernels
