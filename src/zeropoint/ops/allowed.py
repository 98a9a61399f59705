"""The operators of torch that an island may name: functions of tensors and numbers, and no others.

Each was looked at for what a stranger's file could make of it. None takes an address, a file, a
device or code; none returns memory that its operands do not hold (as_strided, set_), bits of one
type as another's (view.dtype), or a result as long as a number in a tensor says (bincount); none
of them trusts an index: torch compares each with the extent before it reads. An overload that
writes into an operand is refused wherever it belongs.

An operator that is missing here stops a capture, with a sentence: it is added to the group where it
belongs, with a case in the tests.
"""

from collections.abc import Mapping

ELEMENTWISE = """
    abs absolute acos acosh add addcdiv addcmul angle arccos arccosh arcsin arcsinh arctan arctan2
    arctanh asin asinh atan atan2 atanh bitwise_and bitwise_left_shift bitwise_not bitwise_or
    bitwise_right_shift bitwise_xor ceil celu clamp clamp_max clamp_min clip complex conj
    conj_physical copysign cos cosh deg2rad digamma div divide elu eq erf erfc erfinv exp exp2
    expm1 fix float_power floor floor_divide fmax fmin fmod frac ge gelu glu greater greater_equal
    gt hardshrink hardsigmoid hardswish hardtanh heaviside hypot i0 imag isclose isfinite isinf
    isnan isneginf isposinf isreal ldexp le leaky_relu lerp less less_equal lgamma log log10 log1p
    log2 log_sigmoid logaddexp logaddexp2 logical_and logical_not logical_or logical_xor logit lt
    masked_fill maximum minimum mish mul multiply nan_to_num ne neg negative not_equal polar
    positive pow prelu rad2deg real reciprocal relu relu6 remainder resolve_conj resolve_neg round
    rrelu rsqrt rsub selu sgn sigmoid sign signbit silu sin sinc sinh softplus softshrink sqrt
    square sub subtract tan tanh threshold true_divide trunc where xlogy
"""

SPECIAL = """
    special_bessel_j0 special_bessel_j1 special_bessel_y0 special_bessel_y1 special_digamma
    special_entr special_erf special_erfc special_erfcx special_erfinv special_exp2 special_expit
    special_expm1 special_gammaln special_i0 special_i0e special_i1 special_i1e special_log1p
    special_log_ndtr special_log_softmax special_logit special_logsumexp
    special_modified_bessel_i0 special_modified_bessel_i1 special_ndtr special_ndtri special_psi
    special_round special_sinc special_softmax special_xlog1py special_xlogy
"""

REDUCTIONS = """
    all amax amin aminmax any argmax argmin count_nonzero cummax cummin cumprod cumsum diff dist
    frobenius_norm kthvalue linalg_matrix_norm linalg_norm linalg_vector_norm logcumsumexp
    logsumexp max mean median min mode nanmean nanmedian nansum norm prod quantile std std_mean
    sum var var_mean
"""

NORMALIZATIONS = """
    _log_softmax _safe_softmax _softmax _weight_norm _weight_norm_interface batch_norm
    cosine_similarity group_norm instance_norm layer_norm log_softmax native_group_norm
    native_layer_norm pairwise_distance renorm rms_norm softmax
"""

PRODUCTS = """
    addbmm addmm addmv addr baddbmm bilinear bmm cdist chain_matmul conv1d conv2d conv3d conv_tbc
    conv_transpose1d conv_transpose2d conv_transpose3d convolution cross det dot einsum ger inner
    inverse kron linalg_cholesky linalg_cross linalg_det linalg_eigh linalg_inv linalg_matmul
    linalg_matrix_power linalg_pinv linalg_qr linalg_slogdet linalg_solve linalg_svd linalg_vecdot
    linear matmul mm mv outer scaled_dot_product_attention tensordot trace vdot
"""

RECURRENT = "gru gru_cell lstm lstm_cell rnn_relu rnn_relu_cell rnn_tanh rnn_tanh_cell"

IMAGES = """
    _adaptive_avg_pool2d _adaptive_avg_pool3d _upsample_bicubic2d_aa _upsample_bilinear2d_aa
    _upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_nearest_exact3d
    adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d
    adaptive_max_pool2d adaptive_max_pool3d affine_grid_generator avg_pool1d avg_pool2d avg_pool3d
    channel_shuffle col2im fractional_max_pool2d fractional_max_pool3d grid_sampler
    grid_sampler_2d grid_sampler_3d im2col max_pool1d max_pool1d_with_indices max_pool2d
    max_pool2d_with_indices max_pool3d max_pool3d_with_indices max_unpool2d max_unpool3d
    native_channel_shuffle pixel_shuffle pixel_unshuffle upsample_bicubic2d upsample_bilinear2d
    upsample_linear1d upsample_nearest1d upsample_nearest2d upsample_nearest3d
    upsample_trilinear3d
"""

SPECTRA = """
    fft_fft fft_fft2 fft_fftn fft_fftshift fft_hfft fft_ifft fft_ifft2 fft_ifftn fft_ifftshift
    fft_ihfft fft_irfft fft_irfft2 fft_irfftn fft_rfft fft_rfft2 fft_rfftn istft stft
    view_as_complex view_as_real
"""

SHAPES = """
    _reshape_alias _unsafe_view adjoint alias atleast_1d atleast_2d atleast_3d block_diag
    broadcast_tensors broadcast_to cartesian_prod cat chunk clone column_stack combinations concat
    concatenate constant_pad_nd contiguous copy detach diag diag_embed diagflat diagonal
    diagonal_scatter dsplit dstack expand expand_as flatten flip fliplr flipud hsplit hstack
    lift_fresh_copy mH mT matrix_H meshgrid movedim moveaxis narrow numpy_T pad permute ravel
    reflection_pad1d reflection_pad2d reflection_pad3d repeat replication_pad1d replication_pad2d
    replication_pad3d reshape reshape_as roll rot90 row_stack select select_scatter slice
    slice_scatter split split_with_sizes squeeze stack swapaxes swapdims t tensor_split tile
    transpose tril triu unbind unflatten unfold unsafe_chunk unsafe_split unsafe_split_with_sizes
    unsqueeze view view_as vsplit vstack
"""

INDEXED = """
    _unsafe_index _unsafe_index_put argsort bucketize embedding gather index index_add
    index_copy index_fill index_put index_select masked_scatter masked_select msort nonzero one_hot
    repeat_interleave scatter scatter_add scatter_reduce searchsorted sort take take_along_dim
    topk
"""

TYPES = "_to_copy to type_as"

MAKERS = """
    arange bartlett_window blackman_window empty empty_like eye fft_fftfreq fft_rfftfreq fill full
    full_like hamming_window hann_window kaiser_window linspace logspace new_empty new_full
    new_ones new_zeros ones ones_like scalar_tensor tril_indices triu_indices zero zeros
    zeros_like
"""

RANDOM = "alpha_dropout dropout feature_alpha_dropout feature_dropout rand"
"""A model that drops at random in eval mode, or draws its windows."""

ALLOWED = frozenset(
    " ".join(
        (
            ELEMENTWISE, SPECIAL, REDUCTIONS, NORMALIZATIONS, PRODUCTS, RECURRENT, IMAGES, SPECTRA,
            SHAPES, INDEXED, TYPES, MAKERS, RANDOM,
        )
    ).split()
)  # fmt: skip
"""Names of aten operators, whatever their overload."""

REFUSED_OVERLOADS = frozenset({"aten.view.dtype", "aten.copy.Dict_Tensor"})
"""Of operators that are allowed: one reads bits as another type, one is about a dict."""

OWN = frozenset({"zeropoint.max_pool1d.default"})
"""Operators that zeropoint registers with torch itself (capture/free_sizes.py)."""

UNWRITTEN = frozenset({"empty", "empty_like", "new_empty"})
"""What their results hold is left open: here zeros, not what the memory held before."""

DATA_DEPENDENT = frozenset({"index", "masked_select", "nonzero", "repeat_interleave"})
"""How much they give may depend on the contents of a tensor."""

LARGEST_OF: Mapping[str, float] = {
    **dict.fromkeys(
        (
            "stride", "padding", "dilation", "output_padding", "kernel_size", "groups",
            "num_groups", "num_layers", "sections", "chunks", "n_fft", "hop_length", "win_length",
            "n", "split_size",
        ),
        1 << 16,
    ),
    **dict.fromkeys(("scale_factors", "scales", "scales_h", "scales_w", "scales_d"), 1 << 10),
}  # fmt: skip
"""Bounds of arguments by their names in torch: what loops and windows are as long as."""
