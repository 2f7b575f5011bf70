<?php
/**
 * Plugin Name: Aisle events
 * Description: Reports product views, carts, orders and refunds of WooCommerce to Aisle.
 *
 * Put it into wp-content/plugins, and define AISLE_URL and AISLE_SECRET_KEY in wp-config.php.
 */

defined( 'ABSPATH' ) || exit;

function aisle_send( array $event ) {
	wp_remote_post( AISLE_URL . '/events', array(
		'headers'  => array( 'Content-Type' => 'application/json', 'X-API-Key' => AISLE_SECRET_KEY ),
		'body'     => wp_json_encode( $event ),
		'timeout'  => 3,
		'blocking' => false,
	) );
}

// The visitor's id, from the cookie that storefront.js sets.
function aisle_user() {
	return isset( $_COOKIE['aisle_visitor'] ) ? sanitize_text_field( wp_unslash( $_COOKIE['aisle_visitor'] ) ) : null;
}

// The id that the import gives a product: its SKU, or else its number.
function aisle_product( $product ) {
	return $product->get_sku( 'edit' ) ?: (string) $product->get_id();
}

// A variable product's page shows its first variation, which is in the catalog; the variable product is not.
add_action( 'wp_footer', function () {
	if ( ! is_product() ) {
		return;
	}
	$product  = wc_get_product( get_queried_object_id() );
	$children = $product->is_type( 'variable' ) ? $product->get_visible_children() : array();
	$shown    = $children ? wc_get_product( $children[0] ) : $product;
	printf( '<script>report("view", %s)</script>', wp_json_encode( array( 'external_id' => aisle_product( $shown ) ) ) );
}, 100 );

add_action( 'woocommerce_add_to_cart', function ( $key, $product_id, $quantity, $variation_id ) {
	$user = aisle_user();
	if ( $user ) {
		aisle_send( array(
			'user_id'     => $user,
			'event_type'  => 'add_to_cart',
			'external_id' => aisle_product( wc_get_product( $variation_id ?: $product_id ) ),
			'metadata'    => array( 'quantity' => (int) $quantity ),
		) );
	}
}, 10, 4 );

// At the checkout the user is remembered with the order: later changes come from elsewhere, without the cookie.
function aisle_remember_user( $order ) {
	$order->update_meta_data( '_aisle_user', aisle_user() );
}
add_action( 'woocommerce_checkout_create_order', 'aisle_remember_user' );
// the checkout made of blocks
add_action( 'woocommerce_store_api_checkout_update_order_meta', 'aisle_remember_user' );

function aisle_lines( $order ) {
	$lines = array();
	foreach ( $order->get_items() as $item ) {
		if ( $item->get_product() ) {
			$lines[] = array(
				'external_id' => aisle_product( $item->get_product() ),
				'quantity'    => abs( (int) $item->get_quantity() ),
			);
		}
	}
	return $lines;
}

// Processing: paid, or to be paid on delivery. Completed: without shipping, directly. The same order counts once.
function aisle_order( $order_id ) {
	$order = wc_get_order( $order_id );
	$lines = aisle_lines( $order );
	if ( $order->get_meta( '_aisle_user' ) && $lines ) {
		aisle_send( array(
			'user_id'    => $order->get_meta( '_aisle_user' ),
			'event_type' => 'order',
			'order_id'   => (string) $order_id,
			'lines'      => $lines,
		) );
	}
}
add_action( 'woocommerce_order_status_processing', 'aisle_order' );
add_action( 'woocommerce_order_status_completed', 'aisle_order' );

add_action( 'woocommerce_order_refunded', function ( $order_id, $refund_id ) {
	$lines = aisle_lines( wc_get_order( $refund_id ) );
	$user = wc_get_order( $order_id )->get_meta( '_aisle_user' );
	if ( $user && $lines ) {
		aisle_send( array(
			'user_id'    => $user,
			'event_id'   => 'refund-' . $refund_id,
			'event_type' => 'refund',
			'order_id'   => (string) $order_id,
			'lines'      => $lines,
		) );
	}
}, 10, 2 );
